package policyfile

import (
	"strings"
	"testing"

	"cellos.io/cellos/seccomp"
)

func TestDecode(t *testing.T) {
	ret := seccomp.Program{{Code: 6, K: uint32(seccomp.Allow)}}
	for _, c := range []struct {
		name, content string
		want          string // "program", "policy", or a part of the error
	}{
		{"a", string(ret.Bytes()), "program"},
		{"a.bpf", string(ret.Bytes()), "program"},
		{"a.bpf", "abcdefgh", "program"},
		{"a", "", "seccomp BPF program is empty"},
		{"a", "\x06\x00\x00", "length 3 is not a multiple of 8"},
		{"a.bpf", "abc", "length 3 is not a multiple of 8"},
		{"a.yaml", "default: allow", "policy"},
		{"a.json", `{"default":"allow"}`, "policy"},
		{"a.json", ` {"defaultAction":"SCMP_ACT_ALLOW"}`, "policy"},
		{"a.json", `{"defaultAction":"SCMP_ACT_ALLOW",}`, "reading an OCI policy"},
		{"a.json", `{"default":"maybe"}`, "default: "},
		{"a.yaml", "abc", "unexpected value"},
	} {
		f, err := Decode(c.name, []byte(c.content))
		got := ""
		switch {
		case err != nil:
			got = err.Error()
		case f.Program != nil && f.Policy == nil:
			got = "program"
		case f.Policy != nil && f.Program == nil:
			got = "policy"
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s, %q: %q", c.name, c.content, got)
		}
	}
}

// TestExecOnce: extends keeps it, a rule for execve takes it back, and exec: once asks for it.
func TestExecOnce(t *testing.T) {
	for text, want := range map[string]bool{
		"extends: strict": true,
		"extends: strict\nrules: [{calls: [getpid], action: allow}]": true,
		"extends: strict\nrules: [{calls: [execve], action: allow}]": false,
		"extends: hardened":             false,
		"extends: hardened\nexec: once": true,
		"default: allow\nexec: once\nrules: [{calls: [execve], action: errno EPERM}]":    true,
		"extends: strict\nexec: once\nrules: [{calls: [execve, execveat], action: log}]": true,
	} {
		p, err := Parse([]byte(text))
		if err != nil || p.ExecOnce != want {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	if _, err := Parse([]byte("default: allow\nexec: twice")); err == nil || !strings.Contains(err.Error(), "exec: ") {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "default: allow", "extends: strict\nexec: once", `{"defaultAction":"SCMP_ACT_ALLOW"}`, "\x06\x00\x00\x00\x00\x00\xff\x7f", "{", "a: [", "\xff\xfe"} {
		f.Add("x", []byte(s))
		f.Add("x.bpf", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		x, err := Decode(name, content)
		switch {
		case err != nil && x != nil, err == nil && (x.Policy == nil) == (x.Program == nil):
			t.Fatalf("%+v, %v", x, err)
		case err == nil && x.Policy != nil:
			if err := x.Policy.Validate(); err != nil {
				t.Errorf("a policy that is not valid: %v", err)
			}
		}
	})
}
