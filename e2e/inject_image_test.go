package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Programs of an image find that the authority of their run is trusted, in the image's own list and by variables. No link of the image leads to what the
// host has, or has it covered.
func TestInjectedInImage(t *testing.T) {
	needs(t, "curl")
	s := newSite(t)
	a := s.newAPI()
	own, err := os.ReadFile(s.ca)
	if err != nil {
		t.Fatal(err)
	}
	onMachines(t, func(t *testing.T, b *bench) {
		if err := os.Mkdir(b.tmp(), 0o700); err != nil {
			t.Fatal(err)
		}
		b.own(b.tmp())
		b.env = append(b.env, "TMPDIR="+b.tmp(), "API_KEY="+injectedValue, "CELLOS_CA_BUNDLE="+s.ca)
		flags := []string{"--time=10m", "--workdir", "/tmp:empty", "--dns", s.dns, "--private", "a.test=127.0.0.1", "--inject", "API_KEY=a.test:" + a.port, "--env", "API=" + a.port}
		of := func(name string, files map[string]string) []string {
			at := b.dir
			b.dir = filepath.Join(at, name)
			ref, digest := b.layoutOf(imageOf(t, []string{"sh", "cat", "curl"}, files))
			b.dir = at
			return append([]string{"--image", ref + "@" + digest}, flags...)
		}
		const begin = "-----BEGIN CERTIFICATE-----\n"
		secret := b.write("secret.pem", begin+"of the host\n", 0o644)
		const usual, all = "/etc/ssl/certs/ca-certificates.crt", "/run/cellos-ca/bundle.crt"
		bare := "unset CURL_CA_BUNDLE SSL_CERT_FILE; "
		run := func(flags []string, script string) string {
			t.Helper()
			r, events := b.gated(flags, "sh", "-c", script)
			out := r.ok(t)
			b.clean(t, r)
			if said := reasons(events); !said["allow l7_secret_injected"] {
				t.Errorf("no event says that the secret was used: %v", said)
			}
			return out
		}
		got := func(path string) {
			t.Helper()
			if got := a.got(path); len(got) == 0 || got[len(got)-1] != "Bearer "+injectedValue {
				t.Errorf("%s came with %q", path, got)
			}
		}
		stars := "<Bearer " + strings.Repeat("*", len(injectedValue)) + ">\n"

		out := run(append(of("one", map[string]string{usual[1:]: string(own), "etc/ssl/cert.pem": "→../../../../../../../../.." + secret, "etc/pki/tls/certs/ca-bundle.crt": "→/opt/own/hello",
			"etc/pki/tls/cacert.pem": "→/etc/passwd"}), "--net", "b.test:"+a.port+"/https", "--private", "b.test=127.0.0.1"),
			"curl -sS https://a.test:$API/image\n"+bare+"curl -sS https://a.test:$API/image-list; curl -sS https://b.test:$API/image-other; hello; cat /etc/ssl/cert.pem; cat "+usual+"; echo; cat "+all+"; echo; cat /etc/passwd; echo; echo $API_KEY")
		if want := "GET /image 0 " + stars + "GET /image-list 0 " + stars + "GET /image-other 0 <>\nhello, world\n"; !strings.HasPrefix(out, want) {
			t.Errorf("printed %q, want %q first", out, want)
		}
		got("/image")
		got("/image-list")
		lists := strings.Split(strings.TrimPrefix(out, "GET /image 0 "+stars+"GET /image-list 0 "+stars+"GET /image-other 0 <>\nhello, world\n"), "\n\n")
		if len(lists) != 4 || lists[0] != lists[1] || !strings.HasPrefix(lists[0], string(own)+begin) || strings.Contains(lists[2], "CERTIFICATE") || !strings.HasPrefix(lists[3], "cellos-placeholder-") {
			t.Errorf("the lists and the placeholder are %q", lists)
		}
		if strings.Contains(out, "of the host") {
			t.Errorf("a link of the image led to the host:\n%s", out)
		}

		// An image without a list, and one whose list the host must not take the time to read.
		if out := run(of("two", nil), "curl -sS https://a.test:$API/none\n"+bare+"curl -sS https://a.test:$API/none-list"); out != "GET /none 0 "+stars+"GET /none-list 0 "+stars {
			t.Errorf("without a list: %q", out)
		}
		got("/none")
		got("/none-list")
		r := b.cell(of("three", map[string]string{usual[1:]: strings.Repeat("#", 16<<20+1)}), "sh", "-c", "echo ran")
		if r.fails(t, 125, usual+" has 16777217 bytes; at most 16777216 are added to"); r.out != "" {
			t.Errorf("printed %q", r.out)
		}
		b.clean(t, r)
	})
}
