package certificates

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"cellos.io/cellos/authority"
)

const list = "-----BEGIN CERTIFICATE-----\nof the image\n-----END CERTIFICATE-----\n"

// inImage makes the certificates of a cell with an image of these files: a text that begins with an arrow is a link. It returns what is shown where.
func inImage(t *testing.T, files map[string]string, tree Tree, grants ...authority.Grant) (shown map[string]string, err error) {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range files {
		f := &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if to, ok := strings.CutPrefix(text, "→"); ok {
			f.Data, f.Mode = []byte(to), fs.ModeSymlink|0o777
		}
		m[strings.TrimPrefix(name, "/")] = f
	}
	tree.Files, tree.Ref = m, "oci:/i@sha256:12"
	rule := authority.Rule{Host: "a.test", Port: 443, Protocol: "https", Inject: []authority.Injection{{Secret: "A", Header: "X"}}}
	a := &authority.Authority{Network: []authority.Rule{rule}, Image: &authority.Image{Ref: "i"}, Work: authority.Work{Path: "/work", Mode: authority.Empty}, Files: grants}
	f, err := Make(t.TempDir(), a, &tree)
	if err != nil {
		return nil, err
	}
	if err := f.Write([]byte("certificate")); err != nil {
		t.Fatal(err)
	}
	shown = map[string]string{}
	for _, g := range a.Files[len(grants):] {
		if g.At == authority.TrustAt {
			g.Host, g.At = filepath.Join(g.Host, authority.TrustAll), filepath.Join(g.At, authority.TrustAll)
		}
		text, err := os.ReadFile(g.Host)
		if err != nil {
			t.Fatal(err)
		}
		shown[g.At] = string(text)
	}
	return shown, nil
}

// The lists of an image are shown with one certificate more, where its own links lead.
func TestTree(t *testing.T) {
	const all = authority.TrustAt + "/" + authority.TrustAll
	const added = "-----BEGIN CERTIFICATE-----\nY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
	mine := t.TempDir()
	if err := os.WriteFile(filepath.Join(mine, "ca-certificates.crt"), []byte("of the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files map[string]string
		tree  Tree
		grant []authority.Grant
		want  map[string]string // what is there before the certificate
	}{
		"Debian": {files: map[string]string{"/etc/ssl/certs/ca-certificates.crt": list, "/usr/lib/ssl/cert.pem": "→/etc/ssl/cert.pem"},
			want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": list, all: list}},
		"Alpine": {files: map[string]string{"/etc/ssl/certs/ca-certificates.crt": list, "/etc/ssl/cert.pem": "→certs/ca-certificates.crt"},
			want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": list, all: list}},
		"Fedora": {files: map[string]string{"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": list, "/etc/ssl/certs": "→../pki/tls/certs", "/etc/pki/tls/certs/ca-bundle.crt": "→/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
			"/etc/pki/tls/cert.pem": "→certs/ca-bundle.crt"},
			want: map[string]string{"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem": list, all: list}},
		"two lists": {files: map[string]string{"/etc/ssl/cert.pem": list, "/etc/ssl/ca-bundle.pem": list + "x"},
			want: map[string]string{"/etc/ssl/cert.pem": list, "/etc/ssl/ca-bundle.pem": list + "x\n", all: list + "x\n"}},
		"its variable names one": {files: map[string]string{"/etc/ssl/cert.pem": list, "/opt/mine.pem": list + "mine\n"}, tree: Tree{List: "/opt/mine.pem"},
			want: map[string]string{"/etc/ssl/cert.pem": list, all: list + "mine\n"}},
		"none":              {files: map[string]string{"/etc/os-release": "x"}, want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": "", all: ""}},
		"nothing":           {want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": "", all: ""}},
		"none, and a link":  {files: map[string]string{"/etc/ssl": "→/usr/ssl"}, want: map[string]string{all: ""}},
		"a folder is there": {files: map[string]string{"/etc/ssl/certs/ca-certificates.crt/x": list}, want: map[string]string{all: ""}},
		"empty":             {files: map[string]string{"/etc/ssl/certs/ca-certificates.crt": ""}, want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": "", all: ""}},
		"a grant is shown over it": {files: map[string]string{"/etc/ssl/certs/ca-certificates.crt": list}, grant: []authority.Grant{{Host: mine, At: "/etc/ssl/certs"}},
			want: map[string]string{"/etc/ssl/certs/ca-certificates.crt": "of the host\n", all: "of the host\n"}},
	} {
		shown, err := inImage(t, c.files, c.tree, c.grant...)
		want := map[string]string{}
		for at, text := range c.want {
			want[at] = text + added
		}
		if err != nil || !maps.Equal(shown, want) {
			t.Errorf("%s: %q, %v, want %q", name, shown, err, want)
		}
	}
}

// No link of an image leads to a file of the host, to a place that is the cell's own, or to what is no list of certificates.
func TestTreeIsHostile(t *testing.T) {
	host := filepath.Join(t.TempDir(), "host.pem")
	if err := os.WriteFile(host, []byte(list+"of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	granted := filepath.Dir(host)
	for name, to := range map[string]string{
		"the host's": host, "above the root": "../../../../../../../.." + host, "a grant": "/granted/host.pem", "in a grant": "/granted/in/image.pem", "the cell's": "/run/x/list.pem", "a process": "/proc/self/x.pem",
		"a folder for temporary files": "/tmp/list.pem", "the cell's accounts": "/etc/passwd", "behind ..": "/run/../proc/x/list.pem", "a working directory": "/work/list.pem",
		"its top": "/list.pem", "a program": "/usr/bin/sh", "itself": "ca-certificates.crt", "nowhere": "/none", "a folder": "/usr", "through a file": "/opt/list.pem/../list.pem",
	} {
		shown, err := inImage(t, map[string]string{"/etc/ssl/certs/ca-certificates.crt": "→" + to, "/run/x/list.pem": list, "/tmp/list.pem": list, "/etc/passwd": list, "/list.pem": list, "/usr/bin/sh": "a program",
			"/proc/x/list.pem": list, "/work/list.pem": list, "/opt/list.pem": list, "/granted/in/image.pem": list}, Tree{List: "/etc/ssl/certs/ca-certificates.crt"}, authority.Grant{Host: granted, At: "/granted"})
		at := slices.Collect(maps.Keys(shown))
		if err != nil || len(at) != 1 || strings.Contains(shown[at[0]], "of the") {
			t.Errorf("a link to %s: %q, %v", name, shown, err)
		}
	}
	// A list as long as nobody has one is refused.
	_, err := inImage(t, map[string]string{"/etc/ssl/cert.pem": strings.Repeat(list, maxBundle/len(list)+1)}, Tree{})
	if err == nil || !strings.Contains(err.Error(), "the image oci:/i@sha256:12: /etc/ssl/cert.pem has ") {
		t.Errorf("a long list: %v", err)
	}
}
