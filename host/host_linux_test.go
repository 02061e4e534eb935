package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/plan"
)

func TestVersion(t *testing.T) {
	for release, want := range map[string]plan.Version{
		"6.12.0-amd64": {Major: 6, Minor: 12}, "5.15.0-91-generic": {Major: 5, Minor: 15}, "6.6.87.2-microsoft-standard-WSL2": {Major: 6, Minor: 6}, "6.1": {Major: 6, Minor: 1},
		"6.18-rc3": {Major: 6, Minor: 18}, "4.18.0-553.el8_10.x86_64": {Major: 4, Minor: 18}, "10.0+": {Major: 10}, "6.9+": {Major: 6, Minor: 9}, "5.10.0~x": {Major: 5, Minor: 10},
		"6": {Major: 6}, "": {}, "x.y": {}, "six.1": {Minor: 1}, "6.-1": {Major: 6}, "6.99999999999999999999": {Major: 6, Minor: 1<<63 - 1},
	} {
		if got := ParseVersion(release); got != want {
			t.Errorf("ParseVersion(%q) = %v, want %v", release, got, want)
		}
	}
}

// TestDescribe checks against what other programs and files say of the machine.
func TestDescribe(t *testing.T) {
	h, err := Describe(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("uname", "-r").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(out), h.Kernel.String()) {
		t.Errorf("the kernel is %v, uname says %s", h.Kernel, out)
	}
	if h.Arch != runtime.GOARCH || h.UID != uint32(os.Geteuid()) || h.GID != uint32(os.Getegid()) || h.Root() != (os.Geteuid() == 0) {
		t.Errorf("%+v", h)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/cap_last_cap"); err != nil || strconv.Itoa(int(h.LastCap)) != strings.TrimSpace(string(b)) {
		t.Errorf("the last capability is %d, the kernel says %q, %v", h.LastCap, b, err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || h.OpenMax != limit.Max {
		t.Errorf("open files %d, getrlimit says %d, %v", h.OpenMax, limit.Max, err)
	}
	if b, err := os.ReadFile("/sys/kernel/security/lsm"); err == nil && strings.Contains(string(b), "landlock") != (h.Landlock > 0) {
		t.Errorf("Landlock ABI %d, and the security modules are %s", h.Landlock, b)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || strings.Contains(string(status), "\nSeccomp:") != h.Seccomp {
		t.Errorf("seccomp filters %v, and /proc/self/status is\n%s", h.Seccomp, status)
	}
	if h.Root() && (h.CellID < 0x70000000 || h.CellID > 0x7ffeffff) || !h.Root() && h.CellID != 0 {
		t.Errorf("the cell's id is %#x", h.CellID)
	}
	if exec.Command("unshare", "-U", "true").Run() == nil && h.UserNS != "" {
		t.Errorf("unshare makes user namespaces, but: %s", h.UserNS)
	}
	if !slices.IsSorted(h.Etc) {
		t.Errorf("/etc is not sorted: %v", h.Etc)
	}
	for _, n := range h.Etc {
		if _, err := os.Lstat("/etc/" + n); err != nil || !plan.EtcWanted(n) || h.Entries["/etc/"+n].Kind == plan.Missing {
			t.Errorf("/etc/%s: %+v, %v", n, h.Entries["/etc/"+n], err)
		}
	}
	for _, p := range plan.SystemPaths() {
		_, err := os.Lstat(p)
		if e, ok := h.Entries[p]; !ok || (e.Kind == plan.Missing) != os.IsNotExist(err) {
			t.Errorf("%s: %+v, %v", p, e, err)
		}
	}
}

// TestCellIDs: each cell that root starts is somebody else.
func TestCellIDs(t *testing.T) {
	a, err := Describe(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Describe(nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Root() == (a.CellID == b.CellID) {
		t.Errorf("two cells are %d and %d", a.CellID, b.CellID)
	}
}

func TestEntries(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at("folder"), 0o700))
	must(os.Chmod(at("folder"), 0o751|os.ModeSticky))
	must(os.WriteFile(at("folder/file"), nil, 0o600))
	must(os.Chmod(at("folder/file"), 0o640))
	must(os.Symlink("folder", at("link")))
	must(os.Symlink("nowhere", at("dangling")))
	must(os.Symlink("loop", at("loop")))
	must(syscall.Mkfifo(at("fifo"), 0o600))
	must(os.WriteFile(at("set"), nil, 0o600))
	must(os.Chmod(at("set"), 0o755|os.ModeSetuid))
	odd := "new\nline \xff"
	must(os.Mkdir(at(odd), 0o755))
	must(os.Mkdir(at("closed"), 0o000))
	t.Cleanup(func() { os.Chmod(at("closed"), 0o700) })
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	want := map[string]plan.Entry{
		"folder":                 {Kind: plan.Directory, Mode: 0o1751, UID: uid, GID: gid, Real: at("folder")},
		"folder/file":            {Kind: plan.Regular, Mode: 0o640, UID: uid, GID: gid, Real: at("folder/file")},
		"link":                   {Kind: plan.Symlink, Mode: 0o777, UID: uid, GID: gid, Target: "folder", Real: at("folder")},
		"link/file":              {Kind: plan.Regular, Mode: 0o640, UID: uid, GID: gid, Real: at("folder/file")},
		"dangling":               {Kind: plan.Symlink, Mode: 0o777, UID: uid, GID: gid, Target: "nowhere"},
		"loop":                   {Kind: plan.Symlink, Mode: 0o777, UID: uid, GID: gid, Target: "loop"},
		"loop/x":                 {Kind: plan.Unknown, Err: "too many levels of symbolic links"},
		"fifo":                   {Kind: plan.Other, Mode: 0o600, UID: uid, GID: gid, Real: at("fifo")},
		"set":                    {Kind: plan.Regular, Mode: 0o4755, UID: uid, GID: gid, Real: at("set")},
		odd:                      {Kind: plan.Directory, Mode: 0o755, UID: uid, GID: gid, Real: at(odd)},
		"missing":                {},
		"folder/file/x":          {}, // ENOTDIR
		"dangling/x":             {},
		strings.Repeat("x", 300): {Kind: plan.Unknown, Err: "file name too long"},
		"closed":                 {Kind: plan.Directory, Mode: 0, UID: uid, GID: gid, Real: at("closed")},
	}
	if uid != 0 {
		want["closed"] = plan.Entry{Kind: plan.Unknown, Err: "permission denied"} // nobody can show it
		want["closed/x"] = plan.Entry{Kind: plan.Unknown, Err: "permission denied"}
	}
	var paths []string
	for name := range want {
		paths = append(paths, at(name))
	}
	h, err := Describe(paths)
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		if got := h.Entries[at(name)]; !reflect.DeepEqual(got, w) {
			t.Errorf("%q is %+v, want %+v", name, got, w)
		}
	}
	if e := h.Entries["/dev/null"]; e.Kind != plan.Other || e.Mode != 0o666 {
		t.Errorf("/dev/null is %+v", e)
	}
}

func TestNumber(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]int{"7\n": 7, "": -1, "x": -1, "0": 0, "-3\n": -3} {
		p := filepath.Join(dir, "n")
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := number(p, -1); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	if got := number(filepath.Join(dir, "missing"), 5); got != 5 {
		t.Errorf("a missing file is %d", got)
	}
}

func TestUserNamespaces(t *testing.T) {
	if max := number("/proc/sys/user/max_user_namespaces", -1); max == 0 {
		if why := userNS(true); why != "user.max_user_namespaces is 0" {
			t.Errorf("%q", why)
		}
	} else if why := userNS(true); why != "" {
		t.Errorf("root cannot make user namespaces: %s", why)
	}
}

// TestDescribeConcurrently is for the race detector.
func TestDescribeConcurrently(t *testing.T) {
	done := make(chan error)
	for range 4 {
		go func() { _, err := Describe([]string{"/usr", "/tmp"}); done <- err }()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// What of /etc every cell sees can be granted as a whole, too.
func TestGrantOfEtc(t *testing.T) {
	const name = "/etc/ssl"
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		t.Skip("this host has no " + name)
	}
	h, err := Describe([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Entries[name].Real; got != real {
		t.Errorf("%s leads to %q, want %q", name, got, real)
	}
}
