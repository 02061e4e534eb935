//go:build amd64 || arm64

package spawn

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// TestParentWorksMeanwhile: in Shared form the parent writes the identity maps while the child waits for a byte.
func TestParentWorksMeanwhile(t *testing.T) {
	requireClone3(t)
	for _, form := range []table.Form{table.Shared, table.Fork} {
		goR, goW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		outR, outW, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, Request{
			Form:       form,
			Namespaces: sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWPID | sysabi.CLONE_NEWNS | sysabi.CLONE_NEWIPC,
			Handed:     map[string]int{"go": int(goR.Fd()), "out": int(outW.Fd())},
			Table: table.Table{
				{Name: "waiting for the maps", Call: "read", Args: []table.Arg{table.Handed("go"), table.Struct(make([]byte, 8), "&byte"), table.Num(1)}, Want: table.Exactly(1)},
				{Name: "looking who it is", Call: "getpid", Want: table.Exactly(1)},
				dup("out", 1, 0),
				unblock(), executing("/bin/sh", "-c", `id -u; id -g; echo $$`),
			},
		})
		runtime.GC() // does not wait for the child
		for _, f := range [][2]string{{"setgroups", "deny"}, {"uid_map", fmt.Sprintf("5 %d 1\n", os.Getuid())}, {"gid_map", fmt.Sprintf("5 %d 1\n", os.Getgid())}} {
			if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", p.Pid(), f[0]), []byte(f[1]), 0); err != nil {
				t.Fatal(err)
			}
		}
		goW.Write([]byte{1})
		outW.Close()
		if err := p.Executed(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(outR); string(b) != "5\n5\n1\n" {
			t.Errorf("%v: %q, %v", form, b, err)
		}
		for _, f := range []*os.File{goR, goW, outR} {
			f.Close()
		}
	}
}

// TestCollectorDoesNotWait bounds what a start costs a concurrent collection: in Shared form a table that takes 300 ms does
// not hold it up. The bound is large for busy machines; with VFork it is the 300 ms, less where the collection began.
func TestCollectorDoesNotWait(t *testing.T) {
	requireClone3(t)
	pause := table.Step{Name: "pausing", Call: "nanosleep", Args: []table.Arg{table.Struct(append(little(0), 0, 0xa3, 0xe1, 0x11, 0, 0, 0, 0), "{0.3s}"), table.Null()}}
	for _, form := range []table.Form{table.Shared, table.Fork} {
		p := start(t, Request{Form: form, Table: table.Table{pause, unblock(), executing("/bin/true")}})
		begin := time.Now()
		runtime.GC()
		if d := time.Since(begin); d > 200*time.Millisecond {
			t.Errorf("%v: a collection took %v", form, d)
		}
		if err := p.Executed(); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d < 250*time.Millisecond {
			t.Errorf("%v: the table took only %v", form, d)
		}
	}
	p := start(t, Request{Form: table.VFork, Table: table.Table{unblock(), executing("/bin/true")}})
	if err := p.Executed(); err != nil {
		t.Error(err)
	}
}

// TestStress starts processes from several goroutines while the collector runs and threads are signalled for preemption.
func TestStress(t *testing.T) {
	requireClone3(t)
	stop := make(chan struct{})
	var noise, work sync.WaitGroup
	noise.Go(func() {
		var keep [][]byte
		for {
			select {
			case <-stop:
				return
			default:
				keep = append(keep[:len(keep)%64], make([]byte, 1<<12))
				runtime.GC()
			}
		}
	})
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				syscall.Kill(os.Getpid(), syscall.SIGURG)
				runtime.Gosched()
			}
		}
	})
	for i := range 4 {
		work.Go(func() {
			for j := range 75 {
				last, want := executing("/bin/sh", "-c", "exit 3"), 3
				if j%5 == 4 {
					last, want = executing("/nonexistent"), -1
				}
				p, err := Start(Request{Form: forms[(i+j)%3], Table: table.Table{{Name: "starting a session", Call: "setsid"}, unblock(), last}})
				if err != nil {
					t.Error(err)
					return
				}
				err = p.Executed()
				if (err == nil) != (want == 3) {
					t.Error(err)
				}
				if s, err := p.Wait(); err != nil || want == 3 && s.Code != 3 {
					t.Errorf("%v, %v", s, err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	close(stop)
	noise.Wait()
}

func TestCgroup(t *testing.T) {
	requireClone3(t)
	root := ""
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			root = dir
		}
	}
	dir := filepath.Join(root, fmt.Sprintf("cellos-spawn-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); root == "" || err != nil {
		t.Skipf("no cgroup v2 to write to: %v", err)
	}
	defer func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, form := range forms {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, Request{Form: form, Cgroup: int(f.Fd()), Handed: map[string]int{"out": int(w.Fd())},
			Table: table.Table{dup("out", 1, 0), unblock(), executing("/bin/grep", "^0:", "/proc/self/cgroup")}})
		w.Close()
		b, _ := io.ReadAll(r)
		r.Close()
		if got := strings.TrimSpace(string(b)); got != "0::/"+filepath.Base(dir) {
			t.Errorf("%v: cgroup %q", form, got)
		}
		if s, err := p.Wait(); err != nil || s.Code != 0 {
			t.Errorf("%v, %v", s, err)
		}
	}
}
