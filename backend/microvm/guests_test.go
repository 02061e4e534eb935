//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
)

// fakes are guests, by what is wrong with them.
var fakes = map[string]func(*liar){
	"nothing is wrong": func(l *liar) {
		l.running()
		l.say(guest.TypeStdout, []byte("x"))
		l.exit()
		l.say(guest.TypeChanges, []byte{1})
		l.await(guest.TypeAck)
	},
	"runs": func(l *liar) {
		l.running()
		l.say(guest.TypeStdout, []byte("running\n"))
		forever()
	},
	"says nothing at all":        func(*liar) { forever() },
	"ends before it says a word": func(*liar) { fmt.Fprintln(os.Stderr, "no such machine"); os.Exit(1) },
	"is another kernel": func(l *liar) {
		l.json(guest.TypeHello, fmt.Sprintf(`{"protocol":%d,"arch":"s390x","kernel":"1.0","landlock":0,"uptime":1,"proc":[]}`, guest.Protocol))
		forever()
	},
	"speaks another protocol":     func(l *liar) { l.json(guest.TypeHello, `{"protocol":1}`); forever() },
	"speaks of another protocol":  func(l *liar) { l.channel.WriteString("HTTP/1.1 400 Bad Request\r\n\r\n"); forever() },
	"promises a gigabyte":         func(l *liar) { l.channel.Write([]byte{0, 0, 0, 0x40, 0x81}); forever() },
	"promises and does not send":  func(l *liar) { l.channel.Write([]byte{0xff, 0xff, 0x0f, 0, 0x81, '{'}); forever() },
	"sends half a greeting":       func(l *liar) { l.channel.Write([]byte{0xff, 0, 0, 0, 0x81, '{'}); os.Exit(0) },
	"ends after its greeting":     func(l *liar) { l.hello(); os.Exit(0) },
	"builds nothing":              func(l *liar) { l.hello(); forever() },
	"cannot build":                func(l *liar) { l.hello(); l.json(guest.TypeError, `{"text":"no\ndrive\u001b[2J"}`); forever() },
	"admits a hole":               func(l *liar) { admitsHole(l) },
	"does not start":              func(l *liar) { l.hello(); l.ready(); forever() },
	"ends when it is released":    func(l *liar) { l.hello(); l.ready(); os.Exit(0) },
	"ends while the command runs": func(l *liar) { l.running(); os.Exit(0) },
	"hangs":                       func(l *liar) { l.running(); forever() },
	"hangs after its end":         func(l *liar) { l.running(); l.exit(); forever() },
	"succeeds twice":              func(l *liar) { l.running(); l.exit(); l.exit(); forever() },
	"succeeds and goes on":        func(l *liar) { l.running(); l.exit(); l.say(guest.TypeStdout, []byte("more")); forever() },
	"floods":                      func(l *liar) { l.running(); flood(l, 1<<40) },
	"prints what it may":          func(l *liar) { l.running(); flood(l, guest.Window/guest.MaxData); forever() },
	"has a network of its own":    func(l *liar) { l.running(); l.say(guest.TypeLeave, make([]byte, 40)); forever() },
	"floods with nothing":         func(l *liar) { l.running(); l.say(guest.TypeStdout); forever() },
	"floods its console":          func(l *liar) { floodConsole(); l.running(); os.Exit(0) },
	"gives credit for nothing": func(l *liar) {
		l.running()
		l.say(guest.TypeCredit, binary.LittleEndian.AppendUint32(nil, 1<<30))
		forever()
	},
	"panics": func(l *liar) {
		l.running()
		fmt.Fprintln(os.Stderr, "[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009\r")
		os.Exit(0)
	},
	"panics for want of memory": func(l *liar) {
		l.running()
		fmt.Fprintln(os.Stderr, "[    1.0] Kernel panic - not syncing: System is deadlocked on memory\r")
		os.Exit(0)
	},
	"sends changes without end": func(l *liar) {
		l.running()
		l.exit()
		for {
			l.say(guest.TypeChanges, make([]byte, guest.MaxData)) // zeros: the end of an archive, and then more
		}
	},
	"sends more than its space": func(l *liar) {
		l.running()
		l.exit()
		w := tar.NewWriter(sending{l})
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 1 << 40, Format: tar.FormatPAX})
		for {
			w.Write(make([]byte, 1<<16))
		}
	},
	"sends changes that lead out": func(l *liar) {
		l.running()
		l.exit()
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "up", Linkname: "../../.."})
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "up/x", Size: 0, Mode: 0o644})
		w.Close()
		l.say(guest.TypeChanges, append([]byte{1}, b.Bytes()...))
		forever()
	},
	"sends a file that nobody wants": func(l *liar) {
		ended(l)
		l.json(guest.TypeFile, `{"size":1,"mode":0}`)
		l.json(guest.TypeFile, `{"size":1,"mode":0}`)
		forever()
	},
	"sends more of a file": func(l *liar) { exporting(l, 3); l.say(guest.TypeData, []byte("\x00data")); forever() },
	"sends less of a file": func(l *liar) { exporting(l, 5); l.say(guest.TypeData, []byte("\x01data")); forever() },
	"ends within a file":   func(l *liar) { exporting(l, 5); l.say(guest.TypeData, []byte("\x00data")); os.Exit(0) },
	"hangs within a file":  func(l *liar) { exporting(l, 5); l.say(guest.TypeData, []byte("\x00data")); forever() },
}

// ended is the end of a command that changed nothing.
func ended(l *liar) {
	l.running()
	l.exit()
	l.say(guest.TypeChanges, []byte{1})
}

// exporting announces a file.
func exporting(l *liar, size int) {
	ended(l)
	l.await(guest.TypeExport)
	l.json(guest.TypeFile, fmt.Sprintf(`{"size":%d,"mode":420}`, size))
}

// A sending is an archive on its way.
type sending struct{ l *liar }

func (s sending) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := min(len(rest), guest.MaxData)
		s.l.say(guest.TypeChanges, []byte{0}, rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}

// admitsHole says of one layer that it does not hold.
func admitsHole(l *liar) {
	l.hello()
	c := l.config.Plan
	probes := strings.Repeat(`"success",`, len(c.Probes))
	l.json(guest.TypeReady, `{"probes":[`+strings.TrimSuffix(probes, ",")+`],"layers":[{"name":"`+c.Layers[0]+`","saw":"a hole","holds":false}],"caps":[0,0,0,0,0],"took":[0,0,0,0]}`)
	forever()
}

// flood prints, whatever the host has taken.
func flood(l *liar, frames int) {
	b := make([]byte, guest.MaxData)
	for range frames {
		l.say(guest.TypeStdout, b)
	}
}

func floodConsole() {
	line := bytes.Repeat([]byte("x"), 4096)
	for range 1 << 12 {
		os.Stderr.Write(line)
	}
	fmt.Fprintln(os.Stderr, "\nthe last line")
}

// Whatever a guest does, its cell ends with a reason, nothing is left of it, and a success is only what one good guest says once.
func TestBadGuests(t *testing.T) {
	const short = 300 * time.Millisecond // for guests that say nothing
	for _, x := range []struct {
		name, reason, text string
		boot, silence      time.Duration
	}{
		{name: "nothing is wrong"},
		{name: "says nothing at all", reason: "boot_failed", text: "the guest said nothing for 5s", boot: 5 * time.Second},
		{name: "ends before it says a word", reason: "vmm_exited", text: "the monitor ended with status 1; it printed: no such machine"},
		{name: "is another kernel", reason: "boot_failed", text: "not what the plan was made for"},
		{name: "speaks another protocol", reason: "protocol", text: "it speaks protocol 1"},
		{name: "speaks of another protocol", reason: "protocol", text: "a frame of"},
		{name: "promises a gigabyte", reason: "protocol", text: "a frame of 1073741824 bytes"},
		{name: "promises and does not send", reason: "boot_failed", text: "said nothing", boot: 5 * time.Second},
		{name: "sends half a greeting", reason: "vmm_exited"},
		{name: "ends after its greeting", reason: "vmm_exited"},
		{name: "builds nothing", reason: "guest_hang", text: "built no cell within", boot: 5 * time.Second},
		{name: "cannot build", reason: "guest_error", text: "no?drive?[2J"},
		{name: "admits a hole", text: "a hole"},
		{name: "does not start", reason: "guest_hang", text: "did not start the command within", boot: 5 * time.Second},
		{name: "ends when it is released", reason: "vmm_exited"},
		{name: "ends while the command runs", reason: "vmm_exited"},
		{name: "hangs", reason: "guest_hang", text: "has not answered for 300ms", silence: short},
		{name: "hangs after its end", reason: "guest_hang", text: "has not answered for 300ms", silence: short},
		{name: "succeeds twice", reason: "protocol", text: "EXIT does not come here"},
		{name: "succeeds and goes on", reason: "protocol", text: "STDOUT does not come here"},
		{name: "floods with nothing", reason: "protocol", text: "STDOUT of 0 bytes"},
		{name: "floods", reason: "protocol", text: "bytes ahead of its reader"},
		{name: "has a network of its own", reason: "protocol", text: "LEAVE does not come here"},
		{name: "floods its console", reason: "vmm_exited", text: "it printed: the last line"},
		{name: "gives credit for nothing", reason: "protocol", text: "CREDIT for 1073741824 bytes"},
		{name: "panics", reason: "guest_panic", text: "Attempted to kill init"},
		{name: "panics for want of memory", reason: "oom", text: "deadlocked on memory"},
		{name: "sends changes without end", reason: "protocol", text: "more than an archive of changes"},
		{name: "sends more than its space", text: "beyond the bounds"},
		{name: "sends changes that lead out", text: "up/x"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel() // most of them wait
			b := fakeBackend(t, x.name)
			if x.boot != 0 {
				b.Boot = x.boot
			}
			if x.silence != 0 {
				b.Silence = x.silence
			}
			_, o, _, err := lives(t, b, fakePlan(t, b))
			if x.reason == "" && x.text == "" {
				if err != nil || o.Code != 0 {
					t.Fatalf("%+v, %v", o, err)
				}
				return
			}
			var end *microvm.EndError
			if err == nil || !strings.Contains(err.Error(), x.text) || x.reason != "" && (!errors.As(err, &end) || end.Reason != x.reason) {
				t.Errorf("%v, want %s with %q", err, x.reason, x.text)
			}
			if o.Code == 0 && o.Signal == 0 && !o.Started.IsZero() {
				t.Errorf("a success: %+v", o)
			}
		})
	}
}

// A guest whose output nobody reads can be ended at any moment.
func TestUnreadGuest(t *testing.T) {
	b := fakeBackend(t, "prints what it may")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := b.Build(t.Context(), fakePlan(t, b), cell.Streams{Out: w, Err: w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if res := c.Destroy(); !res.Clean() {
		t.Errorf("left: %+v", res)
	}
	if o, err := c.Wait(); err == nil {
		t.Errorf("a success: %+v", o)
	}
}

// Files come out of a guest whole, or not.
func TestBadExports(t *testing.T) {
	for name, want := range map[string]string{
		"sends a file that nobody wants": "FILE does not come here",
		"sends more of a file":           "1 bytes longer than FILE said",
		"sends less of a file":           "DATA",
		"ends within a file":             "vmm_exited",
		"hangs within a file":            "has not answered for 300ms",
	} {
		t.Run(name, func(t *testing.T) {
			b := fakeBackend(t, name)
			if strings.HasPrefix(name, "hangs") {
				b.Silence = 300 * time.Millisecond
			}
			c, _, _, err := lives(t, b, fakePlan(t, b, authority.Artifact{Name: "x", Path: "/work/x", Source: "/work/x"}))
			got := err
			if err == nil {
				f, err := c.(interface {
					Open(string) (fs.File, error)
				}).Open("/work/x")
				if got = err; err == nil {
					_, got = io.ReadAll(f)
				}
			}
			if got == nil || !strings.Contains(got.Error(), want) {
				t.Errorf("%v, want %q", got, want)
			}
		})
	}
}
