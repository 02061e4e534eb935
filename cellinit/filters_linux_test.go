package cellinit

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"runtime"

	"cellos.io/cellos/sysabi"
)

// program answers one call with a verdict and allows the rest: ld [nr]; jeq #call, 0, 1; ret #verdict; ret ALLOW.
func program(t *testing.T, call string, verdict uint32) []byte {
	b := []byte{0x20, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 1}
	b = binary.LittleEndian.AppendUint32(b, uint32(number(t, runtime.GOARCH, call)))
	b = binary.LittleEndian.AppendUint32(append(b, 6, 0, 0, 0), verdict)
	return append(b, 6, 0, 0, 0, 0, 0, 0xff, 0x7f)
}

const errno, kill = 0x00050000, 0x80000000

// load boots with filters and waits until they are loaded.
func (p *running) load(b Boot) Message {
	p.t.Helper()
	b.Probes = []Probe{noNewPrivs(p.t)}
	if b.Candidates == nil {
		b.Candidates = []string{"/bin/sh"}
	}
	p.send(b)
	receive[Ready](p)
	m, err := p.conn.ReceiveLoaded()
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// TestFilters looks at the command's process before the release: it has the filters and has not started.
func TestFilters(t *testing.T) {
	each(t, func(t *testing.T, o options) {
		o.argv = []string{"sh", "-c", "echo ran; uname; mkdir /tmp/x"}
		p := run(t, o)
		m := p.load(Boot{Filters: []LateFilter{{Program: program(t, "uname", errno|1)}, {Program: program(t, "mkdir", errno|28)}, {Program: program(t, "mkdirat", errno|28)}}})
		l, ok := m.(Loaded)
		if !ok || l.Listener != 0 {
			t.Fatalf("got %#v", m)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.PID))
		own, err2 := os.ReadFile("/proc/self/status")
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got, want := filters(t, status), filters(t, own)+3; got != want {
			t.Errorf("the command's process has %d filters, want %d", got, want)
		}
		p.send(Release{})
		receive[Running](p)
		if e := receive[Exit](p); e.Code == 0 {
			t.Errorf("ended with %+v", e)
		}
		if out := p.output(); out != "ran\n" {
			t.Errorf("output %q", out)
		}
	})
}

// filters reads the number of filters from the text of /proc/PID/status.
func filters(t *testing.T, status []byte) (n int) {
	_, rest, ok := strings.Cut(string(status), "Seccomp_filters:")
	if _, err := fmt.Sscan(rest, &n); !ok || err != nil {
		t.Skip("the kernel does not count filters (5.9)")
	}
	return n
}

func TestFiltersThatDoNotLetStart(t *testing.T) {
	for _, c := range []struct {
		name string
		prog []byte
		want Failed
	}{
		{"no write", program(t, "write", errno|1), Failed{StageGate, sysabi.EPERM, 0}},
		{"killed by write", program(t, "write", kill), Failed{StageGate, sysabi.EINTR, 0}},
		{"no exit either", append(program(t, "write", errno|1)[:24:24], 6, 0, 0, 0, 1, 0, 5, 0), Failed{StageGate, sysabi.EPERM, 0}},
		{"nothing at all", []byte{6, 0, 0, 0, 0, 0, 0, 0x80}, Failed{StageGate, sysabi.EINTR, 0}},
		{"not a filter", make([]byte, 8), Failed{StageFilter, sysabi.EINVAL, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := run(t, options{argv: []string{"sh", "-c", "echo ran"}})
			if m := p.load(Boot{Filters: []LateFilter{{Program: c.prog}}}); m != c.want {
				t.Errorf("got %#v, want %#v", m, c.want)
			}
			p.conn.Close()
			if s := p.exit(); s != 0 || p.output() != "" {
				t.Errorf("exit status %d", s)
			}
		})
	}
	t.Run("no execve", func(t *testing.T) {
		p := run(t, options{argv: []string{"sh", "-c", "echo ran"}})
		if _, ok := p.load(Boot{Filters: []LateFilter{{Program: program(t, "execve", errno|1)}}}).(Loaded); !ok {
			t.Error("not loaded")
		}
		p.send(Release{})
		if f := receive[Failed](p); f != (Failed{StageExec, sysabi.EPERM, 0}) {
			t.Errorf("got %#v", f)
		}
	})
	t.Run("no read", func(t *testing.T) {
		p := run(t, options{argv: []string{"sh", "-c", "echo ran"}})
		if _, ok := p.load(Boot{Filters: []LateFilter{{Program: program(t, "read", errno|1)}}}).(Loaded); !ok {
			t.Error("not loaded")
		}
		if f := receive[Failed](p); f != (Failed{StageGate, sysabi.EPERM, 0}) {
			t.Errorf("got %#v", f)
		}
	})
}

// TestExecAddresses has the call of execve made with the addresses of the supervisor's choice, which a filter then may demand.
func TestExecAddresses(t *testing.T) {
	each(t, func(t *testing.T, o options) {
		e := [3]uint64{0x123456789, 0x2233445568, 0x3344556670}
		// Each compare is of the low words alone; package seccomp compares all 64 bits.
		prog := []byte{0x20, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 0, 8}
		prog = binary.LittleEndian.AppendUint32(prog, uint32(number(t, runtime.GOARCH, "execve")))
		for i, a := range e {
			prog = append(prog, 0x20, 0, 0, 0, byte(16+8*i), 0, 0, 0, 0x15, 0, 0, byte(5-2*i))
			prog = binary.LittleEndian.AppendUint32(prog, uint32(a))
		}
		prog = append(prog, 6, 0, 0, 0, 0, 0, 0xff, 0x7f, 6, 0, 0, 0, 1, 0, 5, 0)
		prog = append(prog, 6, 0, 0, 0, 0, 0, 0xff, 0x7f)
		o.argv = []string{"sh", "-c", `echo "$0 $CELL"; exec /bin/echo again`, "zero"}
		p := run(t, o)
		if m, ok := p.load(Boot{Filters: []LateFilter{{Program: prog}}, Exec: e, Candidates: []string{"/nonexistent/sh", "/bin/sh"}}).(Loaded); !ok {
			t.Fatalf("got %#v", m)
		}
		p.send(Release{})
		receive[Running](p)
		if x := receive[Exit](p); x.Code != 126 {
			t.Errorf("ended with %+v", x)
		}
		if out := p.output(); out != "zero yes\n" {
			t.Errorf("output %q", out)
		}
	})
}

func TestEndWhileLoaded(t *testing.T) {
	for _, how := range []string{"end", "close"} {
		p := run(t, options{pid1: true, argv: []string{"sh", "-c", "echo ran"}})
		if _, ok := p.load(Boot{Filters: []LateFilter{{Program: program(t, "uname", errno|1)}}}).(Loaded); !ok {
			t.Fatal("not loaded")
		}
		want := 0
		if how == "end" {
			p.send(End{})
		} else {
			p.conn.Close()
		}
		if s := p.exit(); s != want || p.output() != "" {
			t.Errorf("%s: exit status %d", how, s)
		}
	}
}

func TestListener(t *testing.T) {
	p := run(t, options{argv: []string{"sh", "-c", "exit 5"}})
	m := p.load(Boot{Filters: []LateFilter{{Program: program(t, "ptrace", 0x7fc00000), Listener: true}}})
	if l, ok := m.(Loaded); !ok || l.Listener != 4 {
		t.Fatalf("got %#v", m)
	}
	p.send(Release{})
	receive[Running](p)
	if e := receive[Exit](p); e.Code != 5 {
		t.Errorf("ended with %+v", e)
	}
}
