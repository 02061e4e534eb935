//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// A supervised run is what another process of this program does: a cell from its plan to the end of its command, and it kills itself
// with SIGKILL at one moment.
type supervised struct {
	Kernel  image.Kernel
	Program string
	Facts   plan.Guest
	QEMU    string // "": a fake guest
	Fake    string
	Images  string
	Work    string
	Scratch uint64
	Pool    string        // folder of the pool that it takes its machine from, or is; "": none
	Size    int           // of that pool; 0: 1
	Phase   string        // after which it dies; "": none
	After   time.Duration // from the beginning, when it dies; 0: not
}

const supervisorWord = "be-a-supervisor"

// beSupervisor lives a cell. What it prints is for the one who started it.
func beSupervisor(text string) {
	var s supervised
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	die := func() { syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	phase := func(name string) {
		if name == s.Phase {
			die()
		}
	}
	if s.After > 0 {
		time.AfterFunc(s.After, die)
	}
	b := s.backend(phase)
	if s.Pool != "" {
		b.Pool = &microvm.Pooled{Dir: s.Pool}
	}
	argv := []string{"/bin/sh", "-c", "echo running; sleep 1000"}
	p, err := planOf(b, s.Work, s.Scratch, argv...)
	if err != nil {
		panic(err)
	}
	if s.QEMU == "" {
		withoutSystem(p)
	}
	ctx := context.Background()
	c, err := b.Build(ctx, p, cell.Streams{Out: os.Stdout, Err: os.Stderr})
	if err != nil {
		panic(err)
	}
	if _, err := c.Measure(ctx); err != nil {
		panic(err)
	}
	phase("measured")
	if err := c.Release(ctx); err != nil {
		panic(err)
	}
	phase("released")
	c.Wait()
}

// backend is the one that both of them have.
func (s supervised) backend(phase func(string)) microvm.Backend {
	b := microvm.Backend{Monitor: fakeMonitor{s.Fake}, Kernel: s.Kernel, Program: s.Program, Facts: s.Facts}
	if s.QEMU != "" {
		b.Monitor = microvm.QEMU{Program: s.QEMU, Arch: runtime.GOARCH}
	}
	b.Phase = func(name string, _ time.Duration) { phase(name) }
	var err error
	if b.Store, err = image.Open(s.Images); err != nil {
		panic(err)
	}
	return b
}

// command is this test program with a word for what it is to be, and what it says.
func (s supervised) command(t *testing.T, word string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd, said = exec.Command(exe, word, string(text)), &bytes.Buffer{}
	cmd.Stderr = said
	return cmd, said
}

// start starts it, waits for its first line or its end, and returns how long that took.
func (s supervised) start(t *testing.T) (*exec.Cmd, time.Duration) {
	t.Helper()
	cmd, said := s.command(t, supervisorWord)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	took := time.Since(began)
	if line == "" {
		cmd.Wait()
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
			t.Fatalf("it ended with %v: %s", cmd.ProcessState, said.String())
		}
	}
	return cmd, took
}

// remains is what a supervisor that was killed may have left: processes with a mark in their arguments, sockets of views, locked images,
// and files that were being written.
func remains(t *testing.T, mark, images string, sockets map[string]bool) (list []string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(mark)) && filepath.Dir(p) != "/proc/"+strconv.Itoa(os.Getpid()) {
			list = append(list, "process "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	for s := range viewSockets(t) {
		if !sockets[s] {
			list = append(list, "socket "+s)
		}
	}
	files, err := os.ReadDir(images)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if strings.HasPrefix(e.Name(), "new-") {
			list = append(list, "file "+e.Name())
		}
		f, err := os.Open(filepath.Join(images, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			list = append(list, "lock of "+e.Name())
		}
		f.Close()
	}
	return list
}

// viewSockets are the sockets of this network namespace on which views are served.
func viewSockets(t *testing.T) map[string]bool {
	t.Helper()
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]bool{}
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) == 8 && strings.HasSuffix(f[7], "/view") {
			m[f[6]+" "+f[7]] = true
		}
	}
	return m
}

// nothing waits until nothing remains.
func nothing(t *testing.T, what, mark, images string, sockets map[string]bool) {
	t.Helper()
	var list []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if list = remains(t, mark, images, sockets); len(list) == 0 {
			return
		}
	}
	t.Errorf("killed %s, it left %q", what, list)
}

// A supervisor that is killed, whenever that is, leaves no monitor, socket, lock or file.
func TestSupervisorKilled(t *testing.T) {
	mark := fmt.Sprintf("mark-%d-%d", os.Getpid(), time.Now().UnixNano())
	b := fakeBackend(t, "runs")
	s := supervised{Kernel: b.Kernel, Program: b.Program, Facts: b.Facts, Fake: "runs/" + mark, Images: b.Store.Dir(), Work: workdir(t), Scratch: 1 << 20}
	sockets := viewSockets(t)
	cmd, took := s.start(t)
	cmd.Process.Kill()
	cmd.Wait()
	nothing(t, "while the command ran", mark, s.Images, sockets)
	const instants = 30
	for i := range instants {
		s.After = took * time.Duration(i+1) / instants
		if i%3 == 0 { // a run that makes its images
			clearImages(t, s.Images)
		}
		cmd, _ := s.start(t)
		cmd.Process.Kill()
		cmd.Wait()
		nothing(t, fmt.Sprintf("after %v", s.After), mark, s.Images, sockets)
	}
}

// clearImages removes images, so that they are made anew.
func clearImages(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// The same with a real machine, at the end of each phase of its start.
func TestSupervisorOfMachineKilled(t *testing.T) {
	b := backend(t)
	mib := 100 + uint64(os.Getpid())%997 // a size that no other machine is likely to have: it marks this one
	s := supervised{Kernel: b.Kernel, Program: b.Program, Facts: b.Facts, QEMU: b.Monitor.(microvm.QEMU).Program, Images: b.Store.Dir(), Work: workdir(t), Scratch: mib << 20}
	p, err := planOf(b, s.Work, s.Scratch, "/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("-m\x00%dM\x00", p.Machine.Memory>>20)
	sockets := viewSockets(t)
	phases := []string{"images", "monitor's cell", "monitor's start", "monitor's answer", "guest's boot", "measured", "released"}
	if testing.Short() {
		phases = []string{"monitor's answer"}
	}
	for _, s.Phase = range phases {
		s.start(t)
		nothing(t, "after "+s.Phase, mark, s.Images, sockets)
	}
}
