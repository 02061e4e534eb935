package guest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// testPlan promises two layers and has two probes.
func testPlan() *plan.Plan {
	return &plan.Plan{
		Boot: plan.Boot{Probes: []plan.Probe{
			{Layer: "seccomp", Name: "a", Call: "bpf", Want: []sysabi.Errno{sysabi.EPERM}},
			{Layer: "network namespace", Name: "b", Call: "socket"},
		}},
		Promises: []plan.Promise{{Layer: "seccomp"}, {Layer: "network namespace"}},
	}
}

func frame(t Type, body string) []byte { return Append(nil, t, []byte(body)) }

func jsonFrame(t Type, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return Append(nil, t, b)
}

var (
	goodHello = jsonFrame(TypeHello, Hello{Protocol: Protocol, Arch: "amd64", Kernel: "6.1", Landlock: 2})
	goodReady = jsonFrame(TypeReady, Ready{Probes: []string{"EPERM", "success"}, Layers: []Layer{{Name: "seccomp", Saw: "Seccomp 2", Holds: true}}})
	started   = Append(nil, TypeStarted, []byte{2, 0, 0, 0})
	goodExit  = Append(nil, TypeExit, Exit{Code: 3, Tasks: 1}.Append(nil))
)

func stream(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// The whole conversation, as the host hears it.
func TestConversation(t *testing.T) {
	in := stream(goodHello, goodReady, started, frame(TypeStdout, "out"), frame(TypeCredit, "\x03\x00\x00\x00"), frame(TypeStderr, "err"),
		goodExit, frame(TypeChanges, "\x00tar"), frame(TypeChanges, "\x01"))
	h := NewHost(bytes.NewReader(in), io.Discard, testPlan())
	var got []string
	for {
		e, err := h.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Type.String()+" "+string(e.Data))
		if e.Type == TypeExit && (e.Exit.Code != 3 || e.Exit.Tasks != 1) {
			t.Errorf("EXIT arrives as %+v", e.Exit)
		}
	}
	want := "HELLO ;READY ;STARTED ;STDOUT out;CREDIT ;STDERR err;EXIT ;CHANGES tar;CHANGES "
	if s := strings.Join(got, ";"); s != want {
		t.Errorf("heard %s", s)
	}
}

// Each line is a guest that lies; the host says how, and hears nothing of it.
func TestLies(t *testing.T) {
	big := binary.LittleEndian.AppendUint32(nil, MaxFrame+1)
	hello := func(change func(*Hello)) []byte {
		m := Hello{Protocol: Protocol}
		change(&m)
		return jsonFrame(TypeHello, m)
	}
	ready := func(m Ready) []byte { return stream(goodHello, jsonFrame(TypeReady, m)) }
	up := stream(goodHello, goodReady, started)
	for _, x := range []struct {
		name string
		in   []byte
		want string
	}{
		{"a frame of no length", []byte{0, 0, 0, 0}, "a frame of 0 bytes"},
		{"a frame beyond the limit", big, "a frame of 1048577 bytes"},
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n"), "a frame of 542393671 bytes"},
		{"an unknown type", frame(0xee, ""), "type 0xee does not come here"},
		{"a message of the host", frame(TypeRelease, ""), "RELEASE does not come here"},
		{"the end before the beginning", goodExit, "EXIT does not come here"},
		{"two greetings", stream(goodHello, goodHello), "HELLO does not come here"},
		{"another protocol", hello(func(m *Hello) { m.Protocol = 1 }), "it speaks protocol 1"},
		{"an unknown field", frame(TypeHello, `{"protocol":4,"root":true}`), "unknown field"},
		{"two messages in one", frame(TypeHello, `{"protocol":4}{"protocol":4}`), "something follows"},
		{"a thousand names", hello(func(m *Hello) { m.Proc = make([]string, 1000) }), "1000 names"},
		{"fewer answers than probes", ready(Ready{Probes: []string{"EPERM"}}), "1 answers to 2 probes"},
		{"a layer that nobody planned", ready(Ready{Probes: []string{"EPERM", "success"}, Layers: []Layer{{Name: "magic"}}}), "not planned"},
		{"a layer twice", ready(Ready{Probes: []string{"EPERM", "success"}, Layers: []Layer{{Name: "seccomp"}, {Name: "seccomp"}}}), "or twice"},
		{"output before the start", stream(goodHello, goodReady, frame(TypeStdout, "x")), "STDOUT does not come here"},
		{"empty output", stream(up, frame(TypeStdout, "")), "STDOUT of 0 bytes"},
		{"output beyond the limit", stream(up, frame(TypeStdout, strings.Repeat("x", MaxData+1))), "STDOUT of 65537 bytes"},
		{"credit for a gigabyte", stream(up, frame(TypeCredit, "\x00\x00\x00\x40")), "CREDIT for 1073741824 bytes"},
		{"success twice", stream(up, goodExit, goodExit), "EXIT does not come here"},
		{"output after the end", stream(up, goodExit, frame(TypeStdout, "x")), "STDOUT does not come here"},
		{"a status that no process has", stream(up, Append(nil, TypeExit, Exit{Code: 4711}.Append(nil))), "EXIT with status 4711"},
		{"a status and a signal", stream(up, Append(nil, TypeExit, Exit{Code: 0, Signal: 9}.Append(nil))), "EXIT with status 0 and signal 9"},
		{"negative time", stream(up, Append(nil, TypeExit, Exit{Duration: -1}.Append(nil))), "negative"},
		{"a request of a cell that has none", stream(up, frame(TypeAsk, "\x01\x00\x00\x00x")), "ASK does not come here"},
		{"changes after the last", stream(up, goodExit, frame(TypeChanges, "\x01"), frame(TypeChanges, "\x00x")), "CHANGES does not come here"},
		{"an error number that is none", stream(goodHello, goodReady, frame(TypeFailed, `{"path":"","stage":"","errno":0}`)), "FAILED with error 0"},
	} {
		h := NewHost(bytes.NewReader(x.in), io.Discard, testPlan())
		var err error
		for err == nil {
			_, err = h.Next()
		}
		var p *ProtocolError
		if !errors.As(err, &p) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", x.name, err, x.want)
		}
	}
}

// A guest that promises a megabyte and sends nothing costs no megabyte.
func TestLengthAloneAllocatesNothing(t *testing.T) {
	in := append(binary.LittleEndian.AppendUint32(nil, MaxFrame), byte(TypeHello))
	r := NewReader(bytes.NewReader(in))
	if _, _, err := r.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("half a frame is %v", err)
	}
	if len(r.buf) > step {
		t.Errorf("it cost %d bytes", len(r.buf))
	}
}

// What is kept of a guest's text is one printable line.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\x1b[2Jb\n": "a?[2Jb?", "\xff\u202e": "??", strings.Repeat("x", 11): strings.Repeat("x", 10) + "…", "größe": "größe",
	} {
		if got := Clean(in, 10); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
}

// A configuration of any size arrives as it was sent, paths that are not UTF-8 included.
func TestConfigTravels(t *testing.T) {
	p := testPlan()
	p.Boot.Candidates = []string{"/bin/\xff", strings.Repeat("a", 3<<20)}
	p.Mounts = []plan.Mount{{At: "/w\xfe", Type: "tmpfs", Attr: plan.ReadOnly}}
	b, err := Config{Protocol: Protocol, Run: "r", Seed: []byte{1}, Plan: Pack(p)}.Frames(TypeConfig)
	if err != nil {
		t.Fatal(err)
	}
	what, c, secrets, err := ReadConfig(NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) != 0 || what != TypeConfig {
		t.Errorf("%d secrets that nobody sent", len(secrets))
	}
	got := c.Plan.Unpack()
	if got.Boot.Candidates[0] != p.Boot.Candidates[0] || len(got.Boot.Candidates[1]) != 3<<20 || got.Mounts[0] != p.Mounts[0] {
		t.Errorf("it arrives as %q, %+v", got.Boot.Candidates[0], got.Mounts)
	}
	for i, x := range got.Boot.Probes {
		if x.Name != p.Boot.Probes[i].Name || len(x.Want) != len(p.Boot.Probes[i].Want) {
			t.Errorf("probe %d arrives as %+v", i, x)
		}
	}
}

// FuzzHost: whatever a guest sends, the host neither panics nor keeps more than a frame, and what it hears is in order: one greeting, one
// end, output only between start and end.
func FuzzHost(f *testing.F) {
	f.Add(stream(goodHello, goodReady, started, frame(TypeStdout, "out"), goodExit, frame(TypeChanges, "\x01")))
	f.Add(stream(goodHello, goodReady, frame(TypeFailed, `{"path":"L2I=","stage":"","errno":2}`)))
	f.Add(stream(goodHello, frame(TypeError, `{"text":"no drive"}`)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x81})
	f.Fuzz(func(t *testing.T, in []byte) {
		h := NewHost(bytes.NewReader(in), io.Discard, testPlan())
		seen := map[Type]int{}
		for {
			e, err := h.Next()
			if err != nil {
				break
			}
			seen[e.Type]++
			if e.Type < 0x80 || len(e.Data) > MaxData || len(e.Text) > 4000 {
				t.Fatalf("heard %v with %d bytes", e.Type, len(e.Data))
			}
			if (e.Type == TypeStdout || e.Type == TypeStderr) && (seen[TypeStarted] != 1 || seen[TypeExit] != 0) {
				t.Fatal("output outside the life of the command")
			}
		}
		for _, once := range []Type{TypeHello, TypeReady, TypeStarted, TypeExit, TypeFailed, TypeError} {
			if seen[once] > 1 {
				t.Fatalf("%v twice", once)
			}
		}
		if len(h.frames.buf) > MaxFrame || len(h.frames.buf) > len(in)+step {
			t.Fatalf("%d bytes of input cost %d", len(in), len(h.frames.buf))
		}
	})
}
