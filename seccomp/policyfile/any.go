package policyfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"cellos.io/cellos/seccomp"
)

// A Filter is what a file asks for: a policy, or a program as the kernel takes it. One of both is set.
type Filter struct {
	Policy  *seccomp.Policy
	Program seccomp.Program
	Notes   []string // what an OCI policy asks for and is not given
}

// Decode reads a file of any format: a program of classic BPF, a policy of our own in YAML or JSON, or linux.seccomp of the OCI
// runtime specification. The content says which, but for the name ending in .bpf, which means a program. A program is of the right length and otherwise unchecked.
func Decode(name string, content []byte) (*Filter, error) {
	if strings.HasSuffix(name, ".bpf") || binary(content) {
		p, err := seccomp.ParseProgram(content)
		if err != nil {
			return nil, err
		}
		return &Filter{Program: p}, nil
	}
	if isOCI(content) {
		p, notes, err := ParseOCI(content, OCIOptions{})
		if err != nil {
			return nil, err
		}
		return &Filter{Policy: p, Notes: notes}, nil
	}
	p, err := Parse(content)
	if err != nil {
		return nil, err
	}
	return &Filter{Policy: p}, nil
}

// binary reports whether a file is no text.
func binary(b []byte) bool {
	return len(b) == 0 || !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' })
}

// isOCI reports whether a JSON object has the one member that linux.seccomp must have.
func isOCI(b []byte) bool {
	if b = bytes.TrimLeft(b, " \t\r\n"); len(b) == 0 || b[0] != '{' {
		return false
	}
	var f struct {
		DefaultAction *json.RawMessage `json:"defaultAction"`
	}
	// An object that breaks off further down is judged by what is before.
	err := json.Unmarshal(b, &f)
	return f.DefaultAction != nil || err != nil && bytes.Contains(b, []byte(`"defaultAction"`))
}
