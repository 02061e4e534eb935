// Package policy holds what a verified run says against what somebody demands of it, in a small YAML file:
//
//	backend: [process, microvm]     # one of these
//	profile: [hardened]             # deployment profile, one of these
//	boundary: holds                 # every layer and probe of the measured boundary held
//	layers: [seccomp, landlock]     # at least these were promised, and held
//	egress: [api.example.com:443]   # nothing else was granted; [] for nothing at all
//	keys: [sha256:8f0c…]            # signed with these keys only
//	maxAge: 30d                     # of the last event; h, m and s too
//	denials: none                   # nothing that is counted was refused: names always, system calls with --report-refusals
//	outcome: succeeded              # the run's own
//	residue: clean                  # nothing was left over
//	compatAllow: []                 # opt-outs that may have been used
//
// A demand that is left out is not made; one that the evidence says nothing about is not met. Package verify comes first: what
// an event says counts only if it verifies.
//
//	var facts policy.Facts
//	report, err := verify.Verifier{Keys: keys, Visit: facts.Visit}.Verify(stream)
//	unmet := p.Check(report, &facts, time.Now())
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"cellos.io/cellos/evidence/verify"
)

// Policy is a set of demands. Nil and empty values demand nothing; Egress, Keys and CompatAllow that are empty and not nil
// demand that there is none.
type Policy struct {
	Backend     []string `yaml:"backend"`
	Profile     []string `yaml:"profile"`
	Boundary    string   `yaml:"boundary"`
	Layers      []string `yaml:"layers"`
	Egress      []string `yaml:"egress"`
	Keys        []string `yaml:"keys"`
	MaxAge      Age      `yaml:"maxAge"`
	Denials     string   `yaml:"denials"`
	Outcome     string   `yaml:"outcome"`
	Residue     string   `yaml:"residue"`
	CompatAllow []string `yaml:"compatAllow"`
}

// Age is a duration that is written with days too: "30d", "12h", "1d12h".
type Age time.Duration

// UnmarshalYAML reads an age.
func (a *Age) UnmarshalYAML(n *yaml.Node) error {
	text := n.Value
	var sum time.Duration
	if days, rest, ok := strings.Cut(text, "d"); ok {
		d, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("line %d: maxAge: %q is not a duration such as 30d or 12h", n.Line, text)
		}
		sum, text = time.Duration(d)*24*time.Hour, rest
	}
	if text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("line %d: maxAge: %q is not a duration such as 30d or 12h", n.Line, n.Value)
		}
		sum += d
	}
	if sum <= 0 {
		return fmt.Errorf("line %d: maxAge: %q is not above zero", n.Line, n.Value)
	}
	*a = Age(sum)
	return nil
}

// maxText bounds a policy file, in bytes; the example above has a thousand.
const maxText = 64 << 10

// Parse reads a policy. Unknown members, members that occur twice, values that are not among those above, a second document and an
// empty file are errors.
func Parse(text []byte) (Policy, error) {
	var p Policy
	if len(text) > maxText {
		return p, fmt.Errorf("policy: above %d bytes", maxText)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		if err == io.EOF {
			err = errors.New("the file is empty: it demands nothing")
		}
		return Policy{}, fmt.Errorf("policy: %s", oneLine(err))
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return Policy{}, errors.New("policy: more than one document")
	}
	var errs []error
	for _, w := range []struct{ name, value, only string }{
		{"boundary", p.Boundary, "holds"}, {"denials", p.Denials, "none"}, {"outcome", p.Outcome, "succeeded"}, {"residue", p.Residue, "clean"},
	} {
		if w.value != "" && w.value != w.only {
			errs = append(errs, fmt.Errorf("policy: %s: %q is not %q", w.name, w.value, w.only))
		}
	}
	for _, e := range p.Egress {
		if i := strings.LastIndexByte(e, ':'); i <= 0 || i == len(e)-1 {
			errs = append(errs, fmt.Errorf("policy: egress: %q is not host:port", e))
		}
	}
	return p, errors.Join(errs...)
}

// oneLine puts what package yaml says over several lines into one.
func oneLine(err error) string {
	s := strings.TrimPrefix(err.Error(), "yaml: ")
	s = strings.TrimPrefix(s, "unmarshal errors:\n")
	s = strings.ReplaceAll(s, " in type policy.Policy", "")
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\n", ";")), " ")
}

// Check returns the demands that are not met, a line each. A report whose verdict is not good meets none.
func (p Policy) Check(r verify.Report, f *Facts, now time.Time) []string {
	if v := r.Verdict(); v != verify.Good {
		return []string{"the stream does not verify: " + string(v)}
	}
	var unmet []string
	demand := func(met bool, format string, args ...any) {
		if !met {
			unmet = append(unmet, fmt.Sprintf(format, args...))
		}
	}
	if p.Backend != nil {
		demand(f.plan && slices.Contains(p.Backend, f.Backend), "backend: %s, not one of %s", said(f.Backend), strings.Join(p.Backend, ", "))
	}
	if p.Profile != nil {
		demand(f.plan && slices.Contains(p.Profile, f.Profile), "profile: %s, not one of %s", said(f.Profile), strings.Join(p.Profile, ", "))
	}
	if p.Boundary != "" {
		demand(f.boundary && f.BoundaryHolds, "boundary: %s", map[bool]string{true: "a layer or probe did not hold", false: "not measured"}[f.boundary])
	}
	for _, l := range p.Layers {
		switch held, measured := f.Layers[l]; {
		case !measured:
			demand(false, "layers: %s was not measured", l)
		default:
			demand(held && slices.Contains(f.Promised, l), "layers: %s was not promised, or did not hold", l)
		}
	}
	if p.Egress != nil {
		demand(f.plan && f.Network != "host", "egress: what was granted is not known (network %s)", said(f.Network))
		for _, e := range f.Egress {
			demand(slices.Contains(p.Egress, e), "egress: %s was granted", strconv.Quote(e))
		}
	}
	if p.Keys != nil {
		for _, k := range r.Keys {
			demand(slices.Contains(p.Keys, k), "keys: signed with %s", k)
		}
	}
	if p.MaxAge > 0 {
		age := now.Sub(r.Last)
		demand(age <= time.Duration(p.MaxAge), "maxAge: the last event is %s old", age.Round(time.Second))
	}
	if p.Denials != "" {
		demand(f.Denials == 0, "denials: %d requests were refused", f.Denials)
	}
	if p.Outcome != "" {
		demand(!r.Abandoned && f.Outcome == p.Outcome, "outcome: %s", said(f.Outcome))
	}
	if p.Residue != "" {
		demand(f.residue && f.Clean, "residue: %s", map[bool]string{true: "something was left over", false: "nobody looked"}[f.residue])
	}
	if p.CompatAllow != nil {
		demand(f.plan, "compatAllow: not recorded")
		for _, tag := range f.CompatAllow {
			demand(slices.Contains(p.CompatAllow, tag), "compatAllow: %s was used", strconv.Quote(tag))
		}
	}
	return unmet
}

func said(s string) string {
	if s == "" {
		return "not recorded"
	}
	return strconv.Quote(s)
}
