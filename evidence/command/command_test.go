package command

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/evidence/keys"
)

// TestMain makes the test program a signing command when it is called as one: it signs with the key file named.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "-sign" {
		k, err := keys.ReadFile(os.Args[2], os.Getuid())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		in, _ := io.ReadAll(os.Stdin)
		sig, _ := k.Sign(in)
		if os.Args[3] == "base64" {
			fmt.Println(base64.StdEncoding.EncodeToString(sig))
		} else {
			os.Stdout.Write(sig)
		}
		return
	}
	os.Exit(m.Run())
}

func TestSigner(t *testing.T) {
	k, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(path, k.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	m := []byte("message\x00with bytes")
	for _, form := range []string{"raw", "base64"} {
		s := &Signer{Argv: []string{os.Args[0], "-sign", path, form}, ID: k.KeyID(), Public: k.Public()}
		sig, err := s.Sign(m)
		if err != nil || !keys.Verify(k.Public(), m, sig) || s.KeyID() != k.KeyID() {
			t.Errorf("%s: %x, %v", form, sig, err)
		}
	}
	other, _ := keys.New()
	for name, c := range map[string]struct {
		s    Signer
		want string
	}{
		"another key": {Signer{Argv: []string{os.Args[0], "-sign", path, "raw"}, ID: other.KeyID(), Public: other.Public()}, "(64 bytes) is not a signature of key " + other.KeyID()},
		"no output":   {Signer{Argv: []string{"true"}, Public: k.Public()}, "(0 bytes) is not a signature"},
		"failing":     {Signer{Argv: []string{"sh", "-c", "echo no token >&2; exit 3"}, Public: k.Public()}, `exit status 3: "no token"`},
		"endless":     {Signer{Argv: []string{"sh", "-c", "while :; do echo AAAAAAAA; done | head -c 10000000"}, Public: k.Public()}, "(512 bytes)"},
		"missing":     {Signer{Argv: []string{"/nonexistent"}, Public: k.Public()}, "no such file"},
		"none":        {Signer{}, "no command given"},
		"slow":        {Signer{Argv: []string{"sleep", "60"}, Public: k.Public(), Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
	} {
		if _, err := exec.LookPath("sh"); err != nil {
			t.Skip("no sh")
		}
		if sig, err := c.s.Sign(m); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %x, %v, want %q", name, sig, err, c.want)
		}
	}
}
