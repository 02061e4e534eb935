//go:build linux && (amd64 || arm64)

package gvisor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/backend/gvisor"
)

func TestUnsuitable(t *testing.T) {
	dir := t.TempDir()
	program, err := os.ReadFile("/bin/true")
	must(t, err)
	write := func(name string, content []byte, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		must(t, os.WriteFile(p, content, 0o600), os.Chmod(p, mode))
		return p
	}
	other := append([]byte(nil), program...)
	other[18], other[19] = 0xf3, 0 // e_machine: RISC-V
	for _, c := range []struct{ path, reason string }{
		{filepath.Join(dir, "nothing"), "no such file"},
		{dir, "no regular file"},
		{write("plain", program, 0o644), "not executable"},
		{write("setuid", program, 0o755|os.ModeSetuid), "set-user-ID"},
		{write("open", program, 0o777), "others may write it"},
		{write("noise", []byte("noise"), 0o755), "no program"},
		{write("other", other, 0o755), "another architecture"},
		{write("dynamic", program, 0o755), "not statically linked"},
	} {
		f, err := gvisor.Find(c.path, "", "", true)
		var u *gvisor.Unsuitable
		if f != nil || !errors.As(err, &u) || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), c.path) || u.Hint() == "" {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	if _, err := gvisor.Find("", filepath.Join(dir, "cellos"), "relative:"+dir, false); err == nil || !strings.Contains(err.Error(), "neither beside cellos") {
		t.Errorf("%v", err)
	}
}

// TestPlaces: the one beside cellos counts before that of PATH, and an unsuitable one is an error, not a reason to look on.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/libexec/cellos", 0o755), os.Mkdir(dir+"/path", 0o755), os.Symlink(runsc(t).Path, dir+"/path/runsc"))
	f, err := gvisor.Find("", dir+"/cellos", dir+"/path", false)
	must(t, err)
	f.Close()
	must(t, os.WriteFile(dir+"/libexec/cellos/runsc", []byte("noise"), 0o755))
	if f, err := gvisor.Find("", dir+"/cellos", dir+"/path", false); f != nil || err == nil || !strings.Contains(err.Error(), "no program") {
		t.Errorf("%v", err)
	}
}

// TestCheckRemembers: the digest is that of the file, and is not trusted for another one.
func TestCheckRemembers(t *testing.T) {
	p := runsc(t)
	cache := t.TempDir()
	first, err := gvisor.Check(t.Context(), p.File, cache)
	must(t, err)
	again, err := gvisor.Check(t.Context(), p.File, cache)
	must(t, err)
	if first.Runsc != again.Runsc || first.Runsc != p.Runsc || len(p.SHA256) != 64 || !strings.HasPrefix(p.Version, "cellos-") {
		t.Errorf("%+v, %+v, %+v", p.Runsc, first.Runsc, again.Runsc)
	}
}
