package overlay

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestClosedTop: the command may close the folder itself to its owner, who is the reader here.
func TestClosedTop(t *testing.T) {
	dir := t.TempDir()
	must(t, write(filepath.Join(dir, "f"), "x", 0o600))
	d, err := os.Open(dir)
	must(t, err, os.Chmod(dir, 0))
	defer d.Close()
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	if l, err := Changes(d, "", Limits{}); err != nil || l.Total != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

// realOverlay changes files through an overlay as a cell does, and prints nothing if the list of changes is right.
func realOverlay(dir string) error {
	if err := syscall.Mount("cellos-test", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	at := func(n string) string { return filepath.Join(dir, n) }
	script := `cd "$1" && mkdir lower upper work merged && cd lower && mkdir -p d/e r t && echo old >f && echo old >d/g && echo old >d/e/h && echo old >r/x && echo old >gone && echo old >t/u && ln -s f link && cd .. &&
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr cellos-test merged && cd merged &&
echo new >f && rm gone && rm -r r && mkdir r && echo new >r/x && mv d/g d/moved && rm -r t && echo file >t && chmod 600 d/e/h && ln -sf d link && mkdir made && echo x >made/y && touch d/e/h`
	if out, err := exec.Command("sh", "-ec", script, "sh", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("overlay: %w: %s", err, out)
	}
	d, err := os.Open(at("upper"))
	if err != nil {
		return err
	}
	list, err := Changes(d, at("lower"), Limits{})
	if err != nil {
		return err
	}
	want := `modified "d/e/h" file 0600 4 ` + sum("old\n")[:8] + `
deleted "d/g"
created "d/moved" file 0644 4 ` + sum("old\n")[:8] + `
modified "f" file 0644 4 ` + sum("new\n")[:8] + `
deleted "gone"
modified "link" symlink 0777 1 ` + sum("d")[:8] + `
created "made" directory 0755
created "made/y" file 0644 2 ` + sum("x\n")[:8] + `
modified "r" directory 0755
created "r/x" file 0644 4 ` + sum("new\n")[:8] + `
modified "t" file 0644 5 ` + sum("file\n")[:8] + `
`
	if got := lines(list); got != want {
		return fmt.Errorf("got\n%s\nwant\n%s", got, want)
	}
	return nil
}

func TestRealOverlay(t *testing.T) {
	if out, err := exec.Command("unshare", "-Urm", "true").CombinedOutput(); err != nil {
		t.Skipf("no user namespaces here: %v %s", err, out)
	}
	// Everybody must be able to start the test program, and to mount on the folder.
	top, err := os.MkdirTemp("", "cellos-overlay-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(top) })
	must(t, os.Chmod(top, 0o755))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(top, "test"), self, 0o755), os.Mkdir(filepath.Join(top, "dir"), 0o777))
	cmd := exec.Command("unshare", "-Urm", filepath.Join(top, "test"))
	if os.Getuid() == 0 {
		must(t, os.Chown(filepath.Join(top, "dir"), 65534, 65534))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "CELLOS_TEST_OVERLAY=" + filepath.Join(top, "dir")}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
