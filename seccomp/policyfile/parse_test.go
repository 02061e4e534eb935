package policyfile

import (
	"fmt"
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

const example = `
name: scanner
extends: strict
rules:
  - calls: [socket]
    when:
      - if: [{arg: 0, width: 32, is: 1}]
        action: allow
      - if:
          - {arg: 0, width: 32, in: [2, 10]}
          - {arg: 1, width: 32, mask: 0xf, is: 1}
        action: notify
    action: errno EAFNOSUPPORT
  - calls: [kill, tkill]
    action: allow
  - calls: [mmap]
    when: [{if: [{arg: 2, width: 32, any_bit: 4}, {arg: 1, width: 64, at_least: 0x100000000}], action: errno EPERM}]
    action: allow
  - calls: [lseek]
    when: [{if: [{arg: 1, width: 64, signed_from: -10, signed_to: 10}], action: allow}]
    action: errno EINVAL
`

func TestParse(t *testing.T) {
	p, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	amd64 := arch(t, "amd64")
	for _, c := range []struct {
		call string
		args [6]uint64
		want string
	}{
		{"socket", [6]uint64{1}, "allow"},
		{"socket", [6]uint64{1 | 1<<40}, "allow"},
		{"socket", [6]uint64{2, 1 | 0x80000}, "notify"},
		{"socket", [6]uint64{2, 2}, "errno EAFNOSUPPORT"},
		{"socket", [6]uint64{38}, "errno EAFNOSUPPORT"},
		{"kill", [6]uint64{1, 9}, "allow"},
		{"mmap", [6]uint64{0, 1 << 32, 4}, "errno EPERM"},
		{"mmap", [6]uint64{0, 1<<32 - 1, 4}, "allow"},
		{"mmap", [6]uint64{0, 1 << 33, 3 | 4<<32}, "allow"},
		{"lseek", [6]uint64{0, ^uint64(0)}, "allow"},
		{"lseek", [6]uint64{0, 10}, "allow"},
		{"lseek", [6]uint64{0, 11}, "errno EINVAL"},
		{"ptrace", [6]uint64{}, "kill_process"}, // from strict
		{"read", [6]uint64{}, "allow"},
	} {
		nr, _ := amd64.Number(c.call)
		d := seccomp.Data{NR: uint32(nr), Arch: amd64.Audit(), Args: c.args}
		if got := p.Verdict(amd64, d).String(); got != c.want {
			t.Errorf("%s(%#x) is %s, want %s", c.call, c.args, got, c.want)
		}
	}
	for _, a := range sysabi.Arches() {
		back, err := Parse(YAML(p))
		if err != nil {
			t.Fatalf("%v\n%s", err, YAML(p))
		}
		same(t, a, p, back)
	}
}

func TestJSONIsRead(t *testing.T) {
	p, err := Parse([]byte(`{"name": "x", "default": "errno ENOSYS", "rules": [{"calls": ["read", "exit_group"], "action": "allow"},
	  {"calls": ["ioctl"], "when": [{"if": [{"arg": 1, "width": 32, "ranges": [[1, 100], [200, 300]]}], "action": "allow"}], "action": "errno ENOTTY"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := p.Rule("ioctl"); !ok || len(r.Cases) != 1 || len(r.Cases[0].All[0].In) != 2 || p.Default != seccomp.Errno(sysabi.ENOSYS) {
		t.Errorf("%+v", p)
	}
}

func TestEveryProfileCanBeWrittenAndRead(t *testing.T) {
	for _, name := range []string{"baseline", "hardened", "strict", "hardened+net-none", "strict+debug", "baseline+debug"} {
		p, err := seccomp.Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := YAML(p)
		q, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if q.Name != name || q.ExecOnce != p.ExecOnce || p.ExecOnce != strings.HasPrefix(name, "strict") {
			t.Errorf("the name of %s is %q, exec once %v", name, q.Name, q.ExecOnce)
		}
		for _, a := range sysabi.Arches() {
			if name == "baseline" && a.String() == "riscv64" {
				continue
			}
			same(t, a, p, q)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if len(line) > 130 {
				t.Errorf("%s: line %d has %d characters", name, i+1, len(line))
			}
		}
	}
}

func TestParseReportsEveryMistake(t *testing.T) {
	_, err := Parse([]byte(`
default: maybe
rules:
  - calls: [reed, read]
    action: errno EWHAT
  - calls: [read]
    action: log
  - calls: [socket]
    when:
      - if: [{arg: 6, width: 32, is: 1}, {arg: 0, is: 1}, {arg: 1, width: 16, is: 1}]
        action: allow
      - if: [{arg: 0, width: 32, from: 9, to: 3}]
        action: allow
      - if: [{arg: 0, width: 32, is: 1, not: 2}]
      - if: [{arg: 0, width: 32, is: 0x100000000}]
        action: allow
      - if: [{arg: 0, width: 32, mask: 0xf, is: 16}]
        action: allow
    action: allow
`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`default: "maybe" is no action`,
		`rules[0]: no system call is called "reed"`,
		`rules[0].action: "EWHAT" is no error number`,
		`rules[1]: contradicts rules[0], which also decides on read`,
		`rules[2].when[0].if[0]: there is no argument 6`,
		`rules[2].when[0].if[1]: width is missing; the kernel reads 32 bits of argument 0 of socket`,
		`rules[2].when[0].if[2]: width is 16: it must be 32 or 64`,
		`rules[2].when[1].if[0]: the range from 9 to 3 is upside down`,
		`rules[2].when[2].action: the action is missing`,
		`rules[2].when[2].if[0]: it has 2 tests; it must have one of is`,
		`0x100000000 does not fit 32 bits`,
		`0x10 has bits outside the mask 0xf and can never match`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if strings.Contains(line, "policyfile.") || strings.Contains(line, "uint64") {
			t.Errorf("it names Go types: %s", line)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "the policy is empty",
		"default: allow\n---\ndefault: log": "more than one document",
		"default: allow\nrule: []":          "field rule is unknown",
		"default: allow\nrules: 7":          "unexpected value",
		"extends: strict\ndefault: allow":   "takes default, foreign and x32 from it",
		"extends: lax":                      `unknown seccomp profile "lax"`,
		"default: [":                        "did not find",
		"default: allow\nrules: [{calls: [read], when: [{if: [], action: log}], action: allow}]":                                                          "has no condition",
		"default: allow\nrules: [{calls: [], action: log}]":                                                                                               "names no system call",
		"default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, is: -1}], action: log}], action: log}]":                                 "want a number",
		"default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, mask: 0, is: 1}], action: log}], action: log}]":                         "mask is 0",
		"default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, from: 1}], action: log}], action: log}]":                                "from and to go together",
		"default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, ranges: [[1]]}], action: log}], action: log}]":                          "a range has two ends, not 1",
		"default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, signed_from: -3000000000, signed_to: 1}], action: log}], action: log}]": "does not fit 32 bits",
		strings.Repeat("#", MaxSize+1): "more than 1048576",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(plainPolicy))
	f.Add([]byte("default: allow\nrules: [{calls: [read], when: [{if: [{arg: 0, width: 32, ranges: [[1, 2], [5, 900]]}], action: log}], action: trap 3}]"))
	amd64 := arch(f, "amd64")
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := Parse(text); err == nil {
			q, err := Parse(YAML(p))
			if err != nil {
				t.Fatalf("what was written cannot be read: %v\n%s", err, YAML(p))
			}
			x, err := seccomp.Compile(p, amd64)
			y, err2 := seccomp.Compile(q, amd64)
			if fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%v, then %v", err, err2)
			}
			if err == nil && (x.Check() != nil || y.Check() != nil) {
				t.Errorf("the program is refused: %v", x.Check())
			}
		} else if err.Error() == "" {
			t.Error("an error without text")
		}
		if p, _, err := ParseOCI(text, OCIOptions{}); err == nil {
			if prog, err := seccomp.Compile(p, amd64); err == nil && prog.Check() != nil {
				t.Errorf("the program is refused: %v", prog.Check())
			}
		}
	})
}
