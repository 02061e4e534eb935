package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Difference is one thing in which two runs differ. Was or Is is empty where only the other run has it.
type Difference struct {
	What string `json:"what"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
}

// Diff returns what differs between two runs: what was asked and granted, how the boundary was measured, how they ended and what they left.
// Times, identities and amounts that differ from run to run of the same thing do not count, nor does the number of the free user that a cell
// of root's gets, and with it the digest of the plan.
func Diff(a, b *Run) (list []Difference) {
	one := func(what, was, is string) {
		if was != is {
			list = append(list, Difference{what, was, is})
		}
	}
	one("verification", string(a.Verdict), string(b.Verdict))
	one("cell", a.Cell, b.Cell)
	one("command", a.Command(), b.Command())
	one("document", a.Document, b.Document)
	one("backend", a.Backend, b.Backend)
	one("profile", a.Profile, b.Profile)
	one("system calls", a.Seccomp, b.Seccomp)
	one("network", a.Network, b.Network)
	one("outcome", ending(a), ending(b))
	one("boundary", held(a), held(b))
	one("left over", a.LeftOver(), b.LeftOver())
	keyed := func(what string, was, is map[string]string) {
		names := maps.Clone(was)
		maps.Copy(names, is)
		for _, n := range slices.Sorted(maps.Keys(names)) {
			one(what+" "+n, was[n], is[n])
		}
	}
	keyed("egress", words(a.Egress, "granted"), words(b.Egress, "granted"))
	keyed("opt-out", words(a.CompatAllow, "used"), words(b.CompatAllow, "used"))
	keyed("layer", layers(a), layers(b))
	keyed("grant", grants(a), grants(b))
	keyed("refused", refusals(a), refusals(b))
	keyed("changed file", changes(a), changes(b))
	keyed("export", exports(a), exports(b))
	return list
}

func ending(r *Run) string {
	switch {
	case r.Exit != nil:
		return fmt.Sprintf("%s, status %d", r.Outcome, *r.Exit)
	case r.Signal != "":
		return r.Outcome + ", " + r.Signal
	}
	return strings.TrimSuffix(r.Outcome+": "+r.Reason, ": ")
}

func held(r *Run) string {
	switch {
	case !r.Measured:
		return "not measured"
	case r.Holds:
		return "held"
	}
	return "did not hold"
}

func words(list []string, value string) map[string]string {
	m := map[string]string{}
	for _, s := range list {
		m[s] = value
	}
	return m
}

func layers(r *Run) map[string]string {
	m := map[string]string{}
	for _, l := range r.Layers {
		m[l.Name] = l.Promised
		if l.Name == "identity" {
			m[l.Name] = numbers(l.Promised)
		}
		if !l.Holds {
			m[l.Name] += " (does not hold)"
		}
	}
	return m
}

// numbers writes every number of a text as n.
func numbers(s string) string {
	var b strings.Builder
	in := false
	for _, c := range s {
		digit := c >= '0' && c <= '9'
		switch {
		case !digit:
			b.WriteRune(c)
		case !in:
			b.WriteByte('n')
		}
		in = digit
	}
	return b.String()
}

func grants(r *Run) map[string]string {
	m := map[string]string{}
	for _, f := range r.Files {
		m["files "+f.At] = strings.TrimSpace(f.Mode + " " + strings.Join(f.Access, ", ") + " of " + f.Path)
	}
	for _, n := range r.Names {
		m["name "+n.Name] = "granted"
	}
	for _, s := range r.Secrets {
		m["secret "+s.Name] = "granted"
	}
	for _, l := range r.Limits {
		m["limit "+l.Name] = amount(l.Limit, l.Unit)
		if l.Reached {
			m["limit "+l.Name] += " (reached)"
		}
	}
	return m
}

func refusals(r *Run) map[string]string {
	m := map[string]string{}
	for _, d := range r.Denials {
		m[d.What+" "+d.Name] = "refused"
	}
	return m
}

func changes(r *Run) map[string]string {
	m := map[string]string{}
	for _, c := range r.Changes {
		m[c.Path] = strings.TrimSpace(c.Change + " " + c.SHA256)
	}
	if r.ChangesTotal > len(r.Changes) {
		m["(more)"] = plural(r.ChangesTotal, "path")
	}
	return m
}

func exports(r *Run) map[string]string {
	m := map[string]string{}
	for _, a := range r.Artifacts {
		m[a.Name] = strings.TrimSpace(a.Destination + " " + a.SHA256)
		if a.Failed != "" {
			m[a.Name] = "failed: " + a.Failed
		}
	}
	return m
}

// WriteDiff writes the differences for a terminal.
func WriteDiff(w io.Writer, a, b *Run, list []Difference) error {
	t := &text{w: w}
	t.line("- %s: %s", a.title(), a.Headline())
	t.line("+ %s: %s", b.title(), b.Headline())
	if len(list) == 0 {
		t.line("no difference in what was asked, granted, enforced, and left; %s against %s", Span(a.Duration), Span(b.Duration))
	}
	for _, d := range list {
		t.line("")
		t.line("%s", d.What)
		if d.Was != "" {
			t.line("  - %s", d.Was)
		}
		if d.Is != "" {
			t.line("  + %s", d.Is)
		}
	}
	return t.err
}
