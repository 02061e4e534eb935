//go:build linux && (amd64 || arm64)

// Package agent is the first process of a virtual machine: it makes the machine's file tree of the drives, builds the cell there with
// backend/process by the plan that the host sends, and speaks for it on the channel.
//
//	agent.Run() // as PID 1; it does not return
//
// What it does is in docs/guest.md. It executes nothing but the cell. When it ends, so does the machine: the kernel panics without its
// first process, and is told to restart at once, which the virtual machine monitor takes for the end.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Run is the whole life of the machine.
func Run() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cellos: guest:", err) // the console: nobody may be there to hear it on the channel
	}
	sysabi.Restart()
	os.Exit(1) // a kernel that cannot restart panics now, which ends the machine as well
}

// A machine is the guest's end of the conversation.
type machine struct {
	channel *os.File
	frames  *guest.Reader
	mu      sync.Mutex // of writing
	buf     []byte
	took    [4]float64
	acked   chan struct{} // closed when the host wants no more; nil until somebody hears it
	disks   disks
}

func run() error {
	if err := early(); err != nil {
		return err
	}
	calm()
	m := &machine{}
	var err error
	if m.channel, err = open(); err != nil {
		return err
	}
	m.frames = guest.NewReader(m.channel)
	if err := m.live(); err != nil {
		m.say(guest.TypeError, guest.Problem{Text: err.Error()})
		m.awaitAck() // what was said arrives before the machine is gone
		return err
	}
	return nil
}

// live goes from HELLO to the end.
func (m *machine) live() error {
	if err := m.hello(); err != nil {
		return err
	}
	what, c, secrets, err := guest.ReadConfig(m.frames)
	if what == guest.TypePrepare {
		if err := m.prepare(c); err != nil {
			return fmt.Errorf("getting ready: %w", err)
		}
		what, c, secrets, err = guest.ReadConfig(m.frames)
	}
	if err == io.EOF || errors.Is(err, io.EOF) {
		return nil // the host only wanted to know what this is, or needs it no more
	}
	if err != nil {
		return err
	}
	if what != guest.TypeConfig {
		return fmt.Errorf("the host says %v where CONFIG comes", what)
	}
	if err := settle(c); err != nil {
		return err
	}
	begin := time.Now()
	lap := func(i int) {
		m.took[i] = float64(time.Since(begin).Microseconds()) / 1000
		begin = time.Now()
	}
	places, err := m.disks.mount(c)
	if err != nil {
		return err
	}
	lap(0)
	if err := tree(c, places); err != nil {
		return err
	}
	lap(1)
	return m.cell(c, secrets, lap)
}

func (m *machine) hello() error {
	release, err := sysabi.Release()
	if err != nil {
		return err
	}
	up, err := sysabi.SinceBoot()
	if err != nil {
		return err
	}
	h := guest.Hello{Protocol: guest.Protocol, Arch: runtime.GOARCH, Kernel: release, Landlock: sysabi.LandlockABI(), Uptime: up.Milliseconds(), Proc: []string{}}
	h.TUN = os.Chmod("/dev/net/tun", 0o666) == nil // who may open it makes links in namespaces of their own only
	_, err = os.Lstat("/proc/net/if_inet6")        // net/ipv6/addrconf.c
	h.IPv6 = err == nil
	for _, p := range plan.SystemPaths() {
		if name, ok := strings.CutPrefix(p, "/proc/"); ok {
			if fi, err := os.Lstat(p); err == nil {
				h.Proc = append(h.Proc, fmt.Sprintf("%s %o", name, fi.Mode().Perm()))
			}
		}
	}
	return m.say(guest.TypeHello, h)
}

// settle gives the machine what every machine has of its own: time and randomness.
func settle(c guest.Config) error {
	if err := sysabi.SetClock(time.Unix(0, c.Time)); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}
	f, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := sysabi.AddEntropy(f, c.Seed); err != nil {
		return fmt.Errorf("seeding the random number generator: %w", err)
	}
	for _, r := range []int{sysabi.RLIMIT_NOFILE, sysabi.RLIMIT_NPROC} {
		n := uint64(OpenMax)
		if r == sysabi.RLIMIT_NPROC {
			n = sysabi.RLIM_INFINITY
		}
		if err := sysabi.SetHardLimit(r, n); err != nil {
			return fmt.Errorf("raising a limit: %w", err)
		}
	}
	return nil
}

// OpenMax is the hard limit of open files in a guest.
const OpenMax = 1 << 19

// say sends a message as JSON.
func (m *machine) say(t guest.Type, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return m.send(t, b)
}

func (m *machine) send(t guest.Type, parts ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buf = guest.Append(m.buf[:0], t, parts...)
	_, err := m.channel.Write(m.buf)
	return err
}

// awaitAck waits until the host has read everything.
func (m *machine) awaitAck() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	if m.acked != nil {
		defer cancel()
		select {
		case <-m.acked:
		case <-ctx.Done():
		}
		return
	}
	go func() {
		defer cancel()
		for {
			if t, _, err := m.frames.Next(); err != nil || t == guest.TypeAck {
				return
			}
		}
	}()
	<-ctx.Done()
}
