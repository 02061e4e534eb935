//go:build linux && (amd64 || arm64)

package gvisor_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/gvisor"
	"cellos.io/cellos/document"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
)

const nobody = 65534

// TestAsNobody runs all other tests of this package as a user who owns nothing, where root runs them.
func TestAsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("these tests are an ordinary user's already")
	}
	if testing.Short() {
		t.Skip("a second round of cells; the long run has it")
	}
	dir, err := os.MkdirTemp("/var/tmp", "cellos-gvisor-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	program, err := os.ReadFile(runsc(t).Path)
	must(t, err, os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "test"), self, 0o755), os.WriteFile(filepath.Join(dir, "runsc"), program, 0o755),
		os.Mkdir(filepath.Join(dir, "tmp"), 0o700),
		os.CopyFS(filepath.Join(dir, "tmp/testdata"), os.DirFS("testdata")), os.Chown(filepath.Join(dir, "tmp"), nobody, nobody))
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.v", "-test.skip", "TestAsNobody", "-test.timeout", "9m")
	cmd.Dir = filepath.Join(dir, "tmp")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + filepath.Join(dir, "tmp"), "HOME=/nonexistent", "CELLOS_RUNSC=" + filepath.Join(dir, "runsc")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") < 10 {
		t.Errorf("%v\n%s", err, out)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// planned is the plan of a command in an empty working directory, on a runsc.
func planned(t testing.TB, p *gvisor.Program, argv ...string) *plan.Plan {
	t.Helper()
	list, err := json.Marshal(argv)
	must(t, err)
	doc, err := document.Parse("it.json", []byte(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"it","run":{"argv":`+string(list)+
		`},"authority":{"filesystem":{"workingDirectory":"empty"}},"lifetime":{"ttlSeconds":60}}}`))
	must(t, err)
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: "/work"})
	must(t, err)
	h, err := host.Describe(plan.Paths(a))
	must(t, err)
	pl, err := plan.ForGVisor(a, h, p.Runsc)
	must(t, err)
	return pl
}
