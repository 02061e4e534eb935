//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
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
	dir, err := os.MkdirTemp("/var/tmp", "cellos-process-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err, os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "test"), self, 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o700), os.Chown(filepath.Join(dir, "tmp"), nobody, nobody))
	cmd := exec.Command(filepath.Join(dir, "test"), "-test.v", "-test.skip", "TestAsNobody|Parse|Fuzz", "-test.timeout", "3m")
	cmd.Dir = filepath.Join(dir, "tmp")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TMPDIR=" + filepath.Join(dir, "tmp"), "HOME=/nonexistent"}
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

// workdir is a working directory outside /tmp, of which cells have their own.
func workdir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(map[bool]string{true: "/var/tmp", false: ""}[os.Getuid() == 0], "cellos-work-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir)
	must(t, err, os.Chmod(dir, 0o755))
	return dir
}

// planned is the plan of a command in an overlaid working directory of its own; run and grants are members of the document.
func planned(t testing.TB, run, grants string, argv ...string) *plan.Plan {
	t.Helper()
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	text := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"it","run":{"argv":[` + strings.Join(quoted, ",") + `]` + run + `},"authority":{` + grants + `},"lifetime":{"ttlSeconds":60}}}`
	doc, err := document.Parse("it.json", []byte(text))
	must(t, err)
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: workdir(t)})
	must(t, err)
	h, err := host.Describe(plan.Paths(a))
	must(t, err)
	p, err := plan.For(a, h)
	must(t, err)
	return p
}

func built(t testing.TB, p *plan.Plan, s cell.Streams) *processCell {
	t.Helper()
	c, err := Backend{}.Build(t.Context(), p, s)
	must(t, err)
	t.Cleanup(func() { c.Destroy() })
	return c.(*processCell)
}

func measured(t testing.TB, c *processCell) cell.Boundary {
	t.Helper()
	b, err := c.Measure(t.Context())
	must(t, err)
	return b
}

// output is a pipe and what is read from it until its end.
func output(t testing.TB) (w *os.File, text func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	got := make(chan string, 1)
	go func() {
		var b strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				break
			}
		}
		r.Close()
		got <- b.String()
	}()
	return w, func() string { w.Close(); return <-got }
}

// A usage is what this process uses.
type usage struct {
	fds, routines int
	children      string
	mounts        int
}

func used(t testing.TB) usage {
	t.Helper()
	u := usage{routines: runtime.NumGoroutine()}
	d, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	u.fds = len(d)
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, x := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + x.Name() + "/children")
		if err == nil { // else the thread has ended
			u.children += string(b)
		}
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	u.mounts = strings.Count(string(b), "\n")
	return u
}

// same waits until no more is used than before: what has said that it is done may still have to end.
func same(t testing.TB, before usage) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		now := used(t)
		if now.routines <= before.routines {
			now.routines = before.routines
		}
		if now == before {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("used: %+v, before: %+v", now, before)
		}
	}
}

// settle makes what the runtime and the packages make once: pollers, the time zone, threads.
func settle(t testing.TB) {
	t.Helper()
	c, err := Backend{}.Build(context.Background(), planned(t, "", "", "/bin/true"), cell.Streams{})
	must(t, err)
	c.Destroy()
}
