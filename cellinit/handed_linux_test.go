package cellinit

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

// file is an open file with a content.
func file(t *testing.T, content []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestArgumentsFile: arguments and environment of any bytes and size come from the file, and the command does not have it.
func TestArgumentsFile(t *testing.T) {
	big := strings.Repeat("x", 100<<10)
	argv := []string{"sh", "-c", `printf '%s|' "$1" "$2" "$3" ${#4} "$B" "$CELL"; ls /proc/self/fd | tr '\n' ' '`, "sh", "\xff\xfe\n", "", "a b", big}
	env := []string{"PATH=/usr/bin:/bin", "B=\x01"}
	p := run(t, options{files: []*os.File{file(t, ArgumentsFile(argv, env))}})
	if m, ok := p.start(Boot{Candidates: []string{"/bin/sh"}, Arguments: true}).(Running); !ok {
		t.Fatalf("%#v", m)
	}
	if e := receive[Exit](p); e.Code != 0 {
		t.Errorf("%+v", e)
	}
	if got := p.output(); got != "\xff\xfe\n||a b|102400|\x01||0 1 2 3 " {
		t.Errorf("%.200q", got)
	}
}

func TestBadArgumentsFile(t *testing.T) {
	good := ArgumentsFile([]string{"sh"}, []string{"A=b"})
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	for name, content := range map[string][]byte{
		"empty": nil, "a header": good[:16], "half a header": good[:7], "short": good[:len(good)-1], "no argument": change(4, 0), "more arguments": change(4, 2),
		"more variables": change(8, 9), "fewer variables": change(8, 0), "many arguments": change(7, 0xff), "unknown word": change(12, 1), "larger": change(0, 24), "smaller": change(0, 20), "huge": change(3, 0x7f),
	} {
		t.Run(name, func(t *testing.T) {
			p := run(t, options{files: []*os.File{file(t, content)}})
			p.send(Boot{Candidates: []string{"/bin/true"}, Arguments: true})
			if s := p.exit(); s != ExitGarbage {
				t.Errorf("exit status %d", s)
			}
		})
	}
}

// TestKept: the command has the descriptors that it keeps, and no others.
func TestKept(t *testing.T) {
	files := make([]*os.File, 6)
	for i := range files {
		files[i] = file(t, nil)
	}
	p := run(t, options{argv: []string{"sh", "-c", "echo /proc/self/fd/*"}, files: files})
	p.start(Boot{Candidates: []string{"/bin/sh"}, KeepFirst: 5, KeepCount: 3})
	if e := receive[Exit](p); e.Code != 0 {
		t.Errorf("%+v", e)
	}
	if got := p.output(); !strings.HasPrefix(got, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 /proc/self/fd/5 /proc/self/fd/6 /proc/self/fd/7") || strings.Contains(got, "/8") {
		t.Errorf("%q", got) // 3 is the folder that the shell reads
	}
	for _, b := range []Boot{{KeepFirst: 3, KeepCount: 1}, {KeepFirst: 256, KeepCount: 1}, {KeepFirst: 5, KeepCount: 256}, {KeepFirst: -1}} {
		b.Candidates = []string{"/bin/sh"}
		if _, err := b.Encode(); err == nil || !strings.Contains(err.Error(), "keeping") {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

// TestFilterInAProbe: a probe may load a filter, which the following ones meet.
func TestFilterInAProbe(t *testing.T) {
	nr := func(name string) uint64 { return number(t, "amd64", name) }
	if runtime.GOARCH != "amd64" {
		t.Skip("the numbers are those of amd64")
	}
	// Everything is allowed but getppid, which answers ENODEV.
	program := []byte{
		0x20, 0, 0, 0, 0, 0, 0, 0, // A = number of the call
		0x15, 0, 0, 1, byte(nr("getppid")), 0, 0, 0, // equal: the next, else skip it
		0x06, 0, 0, 0, 19, 0, 5, 0, // SECCOMP_RET_ERRNO | ENODEV
		0x06, 0, 0, 0, 0, 0, 0xff, 0x7f, // SECCOMP_RET_ALLOW
	}
	p := run(t, options{argv: []string{"sh", "-c", "grep -c 'Seccomp:.2' /proc/self/status"}})
	p.send(Boot{Candidates: []string{"/bin/sh"}, Probes: []Probe{
		{Number: nr("getppid")},
		{Number: nr("prctl"), Args: []Arg{Immediate(sysabi.PR_SET_NO_NEW_PRIVS), Immediate(1)}},
		{Number: nr("seccomp"), Args: []Arg{Immediate(sysabi.SECCOMP_SET_MODE_FILTER), Immediate(0), Filter(program)}},
		{Number: nr("getppid")},
	}})
	got := receive[Ready](p).Results
	if got[0] <= 0 || got[1] != 0 || got[2] != 0 || got[3] != -19 {
		t.Errorf("results %v", got)
	}
	p.send(Release{})
	receive[Running](p)
	receive[Exit](p)
	if got := p.output(); got != "1\n" {
		t.Errorf("%q", got)
	}
	if _, err := (Boot{Candidates: []string{"x"}, Probes: []Probe{{Args: []Arg{Filter(make([]byte, 8*4097))}}}}).Encode(); err == nil {
		t.Error("a filter that is too long is taken")
	}
}

// TestForeground: without a terminal that is its own already, the process cannot give it to the command. The terminals of package contract show
// that it can otherwise.
func TestForeground(t *testing.T) {
	p := run(t, options{argv: []string{"sh", "-c", "exit"}})
	// Without a terminal at descriptor 0 the command cannot be started.
	if m, ok := p.start(Boot{Candidates: []string{"/bin/sh"}, Foreground: true}).(Failed); !ok || m.Stage != StageTerminal || m.Errno != sysabi.ENOTTY {
		t.Errorf("%#v", m)
	}
}
