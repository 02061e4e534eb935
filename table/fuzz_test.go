package table

import (
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

// decode makes a table of any shape out of bytes: a byte chooses the call, then the arguments.
func decode(b []byte) Table {
	calls := []string{"execve", "setsid", "prctl", "seccomp", "dup3", "close_range", "setresuid", "capset", "read", "close", "clone", "mmap", "landlock_restrict_self", ""}
	next := func() int {
		if len(b) == 0 {
			return 0
		}
		n := int(b[0])
		b = b[1:]
		return n
	}
	var t Table
	for len(b) > 0 && len(t) < 40 {
		s := Step{Name: "n", Call: calls[next()%len(calls)], Layer: "l"}
		if n := next(); n%4 == 0 {
			s.Want = Exactly(n - 8)
		}
		for n := next() % 8; n > 0 && len(s.Args) < n; {
			v := next()
			text := string(b[:min(len(b), v%4)])
			s.Args = append(s.Args, []Arg{Num(uint64(v)), Flags(uint64(v)<<12, text), FD(v - 128), Handed(text), Handed(ExecPipe), Path(text),
				Struct([]byte(text), text), Strings([]string{text, text}), Filter(make([]byte, v), text), Null()}[next()%10])
		}
		for n := next() % 6; len(s.Tolerate) < n; {
			s.Tolerate = append(s.Tolerate, sysabi.Errno(next()*17))
		}
		t = append(t, s)
	}
	return t
}

// FuzzValidate: whatever a table is, it prints one line a step, and one that is valid has the properties that the child
// relies on and can be linked.
func FuzzValidate(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0}, uint8(0))
	f.Add([]byte{4, 1, 3, 0, 4, 131, 2, 128, 1, 0, 5, 1, 3, 4, 0, 255, 1, 0, 0, 0, 0, 1, 0, 0}, uint8(1))
	f.Add([]byte{2, 1, 2, 38, 0, 1, 0, 0, 3, 1, 3, 1, 0, 0, 0, 8, 8, 0, 0, 1, 0, 0}, uint8(2))
	arch, _ := sysabi.ArchByName("amd64")
	f.Fuzz(func(t *testing.T, b []byte, form uint8) {
		steps := decode(b)
		if s := steps.String(); strings.Count(s, "\n") < len(steps) {
			t.Errorf("%d steps print as %q", len(steps), s)
		}
		if steps.Validate(Form(form)) != nil {
			return
		}
		for i, s := range steps {
			if (i == len(steps)-1) != (s.Call == "execve") || len(s.Args) > 6 || len(s.Tolerate) > 4 || s.Call == "clone" || form != uint8(Fork) && s.Call == "mmap" {
				t.Fatalf("valid: %s", steps)
			}
		}
		mem := make([]byte, steps.Size())
		if err := steps.Link(mem, 4096, arch, func(string) (int, bool) { return 64, true }); err != nil {
			t.Error(err)
		}
	})
}
