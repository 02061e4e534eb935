package certificates

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
)

// What a cell sees of the host's certificates it sees with one more, also where a grant replaces them; the host's files stay as they are.
func TestFolder(t *testing.T) {
	mine := t.TempDir()
	if err := os.MkdirAll(filepath.Join(mine, "certs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, x := range [][2]string{{"certs/real.pem", "mine, without an end of line"}, {"outside.pem", "x"}} {
		if err := os.WriteFile(filepath.Join(mine, x[0]), []byte(x[1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real.pem", filepath.Join(mine, "certs/ca-certificates.crt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(mine, "cert.pem")); err != nil { // leads out of what the cell sees
		t.Fatal(err)
	}
	rule := authority.Rule{Host: "a.test", Port: 443, Protocol: "https", Inject: []authority.Injection{{Secret: "A", Header: "X"}}}
	a := &authority.Authority{Network: []authority.Rule{rule}, Files: authority.Grants{{Host: mine, At: "/etc/ssl", Access: authority.CanRead}}}
	f, err := Make(t.TempDir(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write([]byte("certificate")); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, g := range a.Files[1:] {
		shown[g.At] = g.Host
	}
	text, err := os.ReadFile(shown["/etc/ssl/certs/real.pem"])
	if err != nil || !strings.HasPrefix(string(text), "mine, without an end of line\n-----BEGIN CERTIFICATE-----\nY2VydGlmaWNhdGU=\n") {
		t.Errorf("shown %v: %q, %v", shown, text, err)
	}
	if shown["/etc/ssl/cert.pem"] != "" || shown["/etc/hostname"] != "" {
		t.Errorf("a link was followed out of the cell: %v", shown)
	}
	own, err := os.ReadFile(filepath.Join(shown[authority.TrustAt], authority.TrustOwn))
	if err != nil || !strings.HasPrefix(string(own), "-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("%q, %v", own, err)
	}
	if text, _ := os.ReadFile(filepath.Join(mine, "certs/real.pem")); string(text) != "mine, without an end of line" {
		t.Errorf("the host's file was changed: %q", text)
	}
	if err := Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	if err := Remove(f.Path); err != nil {
		t.Error("removing it twice:", err)
	}
	if f, err := Make("/nowhere", &authority.Authority{}, nil); f != nil || err != nil {
		t.Errorf("a cell without injection: %v, %v", f, err)
	}
}
