//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/host"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// A fakeMonitor is this test program, started as the monitor in the monitor's cell: it speaks the guest's protocol itself, as badly as its
// name says. No machine is emulated.
type fakeMonitor struct{ name string }

const fakeWord = "be-a-fake-guest"

func (fakeMonitor) Name() string { return "fake" }

func (f fakeMonitor) Command(m microvm.Machine) microvm.Command {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return microvm.Command{Argv: []string{exe, fakeWord, f.name}, Sockets: true, Exec: []string{filepath.Dir(exe)}}
}

func (fakeMonitor) Serial(n int, _ os.FileInfo) string { return strconv.Itoa(n) }

// Start returns the channel at once: there is nothing to manage.
func (fakeMonitor) Start(_ context.Context, _ microvm.Machine, s microvm.Standing) (net.Conn, error) {
	return net.FileConn(s.Control)
}

// A liar is the guest's side of the conversation. Its steps keep to the protocol until it does not.
type liar struct {
	channel *os.File
	frames  *guest.Reader
	config  guest.Config
}

func (l *liar) say(t guest.Type, parts ...[]byte) {
	if _, err := l.channel.Write(guest.Append(nil, t, parts...)); err != nil {
		os.Exit(3) // the host has heard enough
	}
}

func (l *liar) json(t guest.Type, v string) { l.say(t, []byte(v)) }

func (l *liar) hello() {
	l.json(guest.TypeHello, fmt.Sprintf(`{"protocol":%d,"arch":%q,"kernel":"6.1.0-fake","landlock":2,"uptime":1,"proc":[]}`, guest.Protocol, runtime.GOARCH))
	var err error
	if _, l.config, _, err = guest.ReadConfig(l.frames); err != nil {
		os.Exit(4)
	}
}

// ready claims that everything is as planned.
func (l *liar) ready() {
	var probes, layers []string
	for _, p := range l.config.Plan.Probes {
		got := "success"
		if len(p.Want) > 0 {
			got = p.Want[0].Name()
		}
		probes = append(probes, fmt.Sprintf("%q", got))
	}
	for _, n := range l.config.Plan.Layers {
		layers = append(layers, fmt.Sprintf(`{"name":%q,"saw":"all is well","holds":true}`, n))
	}
	l.json(guest.TypeReady, `{"probes":[`+strings.Join(probes, ",")+`],"layers":[`+strings.Join(layers, ",")+`],"caps":[0,0,0,0,0],"took":[0,0,0,0]}`)
	l.await(guest.TypeRelease)
}

func (l *liar) await(t guest.Type) {
	for {
		got, _, err := l.frames.Next()
		if err != nil {
			os.Exit(5)
		}
		if got == t {
			return
		}
	}
}

// running goes as far as a command that runs.
func (l *liar) running() {
	l.hello()
	l.ready()
	l.say(guest.TypeStarted, []byte{2, 0, 0, 0})
}

func (l *liar) exit() { l.say(guest.TypeExit, guest.Exit{}.Append(nil)) }

// forever does nothing until the host ends it.
func forever() { select {} }

// beFake is the life of a fake guest.
func beFake(name string) {
	l := &liar{channel: os.NewFile(0, "channel")}
	l.frames = guest.NewReader(l.channel)
	name, _, _ = strings.Cut(name, "/") // what follows is a mark
	fakes[name](l)
	os.Exit(0)
}

// fakeBackend is a backend whose guest is a fake: its kernel and its program are files of any content.
func fakeBackend(t testing.TB, name string) microvm.Backend {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var builtin strings.Builder
	for _, m := range []string{"virtio_pci", "virtio_mmio", "virtio_console", "vmw_vsock_virtio_transport", "virtio_blk", "virtio_net", "erofs", "overlay"} {
		builtin.WriteString("kernel/" + m + ".ko\n")
	}
	write("modules/modules.builtin", builtin.String())
	write("modules/modules.dep", "")
	store, err := image.Open(filepath.Join(dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	return microvm.Backend{Monitor: fakeMonitor{name}, Store: store, Program: write("program", "x"), Boot: time.Minute, Silence: time.Minute,
		Kernel: image.Kernel{Path: write("kernel", "x"), Release: "6.1.0-fake", Modules: filepath.Join(dir, "modules"), Arch: runtime.GOARCH},
		Facts:  plan.Guest{Kernel: host.ParseVersion("6.1.0-fake"), Landlock: 2, Proc: map[string]uint32{}, OpenMax: 1 << 19}}
}

// fakePlan plans a command for it. The system's folders are left out: their names need not become an image.
func fakePlan(t testing.TB, b microvm.Backend, exports ...authority.Artifact) *plan.Plan {
	t.Helper()
	a := &authority.Authority{ID: "fake", Command: authority.Command{Argv: []string{"/bin/true"}, Env: []authority.Variable{{Name: "PATH", Value: authority.Path}}, Hostname: "cell"},
		Work: authority.Work{Path: "/work", Mode: authority.Empty}, Syscalls: "hardened", Limits: authority.Limits{Processes: 16, Scratch: 1 << 20}, Exports: exports}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.ForGuest(a, h, b.Facts)
	if err != nil {
		t.Fatal(err)
	}
	withoutSystem(p)
	return p
}

// withoutSystem leaves the system's folders out.
func withoutSystem(p *plan.Plan) { p.Machine.Base, p.Machine.Etc = []string{"none of them"}, nil }

// lives takes a cell as far as its guest lets it, reading the output to its end, and returns where it ended.
func lives(t testing.TB, b microvm.Backend, p *plan.Plan) (c cell.Cell, o cell.Outcome, printed int64, err error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n := make(chan int64, 1)
	go func() {
		k, _ := io.Copy(io.Discard, r)
		r.Close()
		n <- k
	}()
	defer func() { w.Close(); printed = <-n }()
	if c, err = b.Build(context.Background(), p, cell.Streams{Out: w, Err: w}); err != nil {
		return c, o, 0, err
	}
	t.Cleanup(func() { c.Destroy() })
	bound, err := c.Measure(context.Background())
	if err == nil {
		err = bound.Err()
	}
	if err == nil {
		err = c.Release(context.Background())
	}
	if err == nil {
		o, err = c.Wait()
	}
	if err != nil {
		if res := c.Destroy(); !res.Clean() {
			t.Errorf("left: %+v", res)
		}
	}
	return c, o, 0, err
}
