//go:build linux && (amd64 || arm64)

package gvisor_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/backend/gvisor"
	"cellos.io/cellos/cell"
)

// fake builds a runsc that misbehaves in one way; see testdata/runsc.c.
func fake(t *testing.T, way string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	source, err := os.ReadFile("testdata/runsc.c")
	must(t, err)
	dir, err := os.MkdirTemp("/var/tmp", "cellos-runsc-")
	must(t, err, os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "runsc.c"), source, 0o644))
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "runsc")
	if out, err := exec.Command("gcc", "-static", "-O1", "-D"+way, "-o", path, filepath.Join(dir, "runsc.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, os.Chmod(path, 0o755))
	return path
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := gvisor.Find(path, "", "", os.Getuid() == 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// TestAVersionThatIsNone: what does not say what it is, is not used, and told with the remedy.
func TestAVersionThatIsNone(t *testing.T) {
	for way, want := range map[string]string{"SILENT": "does not tell its version", "FOREIGN": "does not say that it is runsc", "OLD": "is release-20230102.0; cells need one of", "LOUD": "does not say that it is runsc"} {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // only SILENT takes it
			defer cancel()
			if way != "SILENT" {
				ctx = t.Context()
			}
			p, err := gvisor.Check(ctx, open(t, fake(t, way)), "")
			var u *gvisor.Unsuitable
			if p != nil || !errors.As(err, &u) || !strings.Contains(err.Error(), want) || u.Hint() == "" || strings.Contains(err.Error(), "\033") {
				t.Errorf("%v", err)
			}
		})
	}
}

// build plans and builds a cell of a program on a runsc.
func build(t *testing.T, ctx context.Context, p *gvisor.Program, argv ...string) (cell.Cell, error) {
	t.Helper()
	return gvisor.Backend{Program: p}.Build(ctx, planned(t, p, argv...), cell.Streams{})
}

// TestARunscThatFailsAtItsStart: whatever it does, the error says so, in words that a terminal can show, and nothing is left.
func TestARunscThatFailsAtItsStart(t *testing.T) {
	for way, want := range map[string][]string{
		"HANG":    {"starting gVisor", "lost patience"},
		"DIE":     {"starting gVisor", "runsc ended with status 3", "it is  [31mbroken"},
		"ABORT":   {"starting gVisor", "runsc was ended by signal 11"},
		"GARBAGE": {"starting gVisor"},
		"EXIT":    {"starting gVisor", "runsc ended with status 0"},
	} {
		t.Run(way, func(t *testing.T) {
			path := fake(t, way)
			p, err := gvisor.Check(t.Context(), open(t, path), "")
			must(t, err)
			ctx, cancel := context.WithCancelCause(t.Context())
			c, err := build(t, ctx, p, "/bin/true")
			must(t, err)
			if way == "HANG" {
				time.AfterFunc(100*time.Millisecond, func() { cancel(errors.New("lost patience")) })
			}
			_, err = c.Measure(ctx)
			for _, w := range want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("%v, want %q", err, w)
				}
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x00\033") {
				t.Errorf("%q", err)
			}
			if r := c.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
			nobodyRuns(t, path)
			cancel(nil)
		})
	}
}

// nobodyRuns demands that no process executes a file.
func nobodyRuns(t *testing.T, path string) {
	t.Helper()
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && to == path {
			t.Errorf("%s executes %s still", l, path)
		}
	}
}

// own is a copy of the real runsc that only one test runs.
func own(t *testing.T) (string, *gvisor.Program) {
	t.Helper()
	data, err := os.ReadFile(runsc(t).Path)
	must(t, err)
	dir, err := os.MkdirTemp("/var/tmp", "cellos-runsc-")
	must(t, err, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "runsc")
	must(t, os.WriteFile(path, data, 0o755), os.Chmod(path, 0o755))
	p, err := gvisor.Check(t.Context(), open(t, path), "")
	must(t, err)
	return path, p
}

// TestReplacedAfterTheCheck: another file under the name is not run, and a file that was written to is refused.
func TestReplacedAfterTheCheck(t *testing.T) {
	path, p := own(t)
	must(t, os.WriteFile(path+".new", []byte("#!/bin/sh\n"), 0o755), os.Rename(path+".new", path))
	c, err := build(t, t.Context(), p, "/bin/true")
	must(t, err)
	b, err := c.Measure(t.Context())
	must(t, err, b.Err(), c.Release(t.Context()))
	if o, err := c.Wait(); err != nil || o.Code != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	if r := c.Destroy(); !r.Clean() {
		t.Errorf("left: %+v", r)
	}

	path, p = own(t)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{0x90}, 1<<20)
	must(t, err, f.Close())
	var u *gvisor.Unsuitable
	if c, err := build(t, t.Context(), p, "/bin/true"); c != nil || !errors.As(err, &u) || !strings.Contains(err.Error(), "changed after it was checked") {
		t.Errorf("%v", err)
	}
	nobodyRuns(t, path)
}

// TestARunscThatDiesInTheMiddle: whoever of gVisor's processes dies, the wait ends, the end is no success, and nothing is left.
func TestARunscThatDiesInTheMiddle(t *testing.T) {
	for _, name := range []string{"runsc", "runsc-sandbox", "runsc-gofer"} {
		t.Run(name, func(t *testing.T) {
			path, p := own(t)
			c, err := build(t, t.Context(), p, "/bin/sleep", "1000")
			must(t, err)
			b, err := c.Measure(t.Context())
			must(t, err, b.Err(), c.Release(t.Context()))
			pids := executing(path, name)
			if len(pids) != 1 {
				t.Fatalf("%d processes are %s", len(pids), name)
			}
			must(t, syscall.Kill(pids[0], syscall.SIGKILL))
			if name == "runsc-gofer" { // gVisor may go on without: the files are open. Then only the supervisor ends the cell.
				if err := c.Signal(int(syscall.SIGKILL), true); err != nil && !errors.Is(err, io.EOF) {
					t.Error(err)
				}
			}
			o, err := c.Wait()
			if o.Code == 0 || name == "runsc-sandbox" && (err == nil || !strings.Contains(err.Error(), "gVisor is gone")) {
				t.Errorf("%+v, %v", o, err)
			}
			if r := c.Destroy(); !r.Clean() {
				t.Errorf("left: %+v", r)
			}
			nobodyRuns(t, path)
		})
	}
}

// executing lists the processes that run a file under a name.
func executing(path, name string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		to, err := os.Readlink(l)
		if err != nil || to != path {
			continue
		}
		line, _ := os.ReadFile(filepath.Dir(l) + "/cmdline")
		if first, _, _ := strings.Cut(string(line), "\x00"); first == name {
			n, _ := strconv.Atoi(strings.Split(l, "/")[2])
			pids = append(pids, n)
		}
	}
	return pids
}
