package eventtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// matcher knows the placeholders met so far: a numbered one stands for one value, different numbers for different ones.
type matcher struct {
	dir, document string
	place, ms     *regexp.Regexp
	seen          map[[2]string]string // kind, number → value
}

func newMatcher(o Options) *matcher {
	sum := sha256.Sum256(o.Document)
	return &matcher{
		dir: o.Dir, document: hex.EncodeToString(sum[:]), seen: map[[2]string]string{},
		place: regexp.MustCompile(`<(uuid|time|digest|sha256|hex16|pid|sig|dir|any|port)(?::(\d+))?>`),
		ms:    regexp.MustCompile(`^<ms(?::(\d+)\.\.(\d+))?>$`),
	}
}

// kind returns the pattern for a placeholder.
func (m *matcher) kind(name string) string {
	switch name {
	case "uuid":
		return `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	case "time":
		return `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00)`
	case "digest":
		return `sha256:[0-9a-f]{64}`
	case "sha256":
		return `[0-9a-f]{64}`
	case "hex16":
		return `[0-9a-f]{16}`
	case "pid":
		return `\d+`
	case "sig":
		return `[A-Za-z0-9_-]{86}|[A-Za-z0-9_-]{43}`
	case "port":
		return `\d{1,5}`
	case "dir":
		return regexp.QuoteMeta(m.dir)
	}
	return `[\s\S]*`
}

// event compares two events by the rules of the README: the documented members, and the form of all others.
func (m *matcher) event(at string, want, got object) []string {
	var diffs []string
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if slices.Contains(documented(), k) {
			continue
		}
		if len(k) == 0 || len(k) > 20 || strings.Trim(k, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			diffs = append(diffs, fmt.Sprintf("%s: extension attribute name %q is not 1 to 20 lower-case letters and digits", at, k))
		}
		switch got[k].(type) {
		case object, []any:
			diffs = append(diffs, fmt.Sprintf("%s: extension attribute %s is no scalar", at, k))
		}
	}
	return append(diffs, m.value(at, core(want, want), core(got, want))...)
}

// core returns the documented members of e, absent ones as null, without what want lacks and may lack.
func core(e, want object) object {
	out := object{}
	for _, k := range documented() {
		out[k] = e[k]
	}
	data, ok := e["data"].(object)
	if !ok {
		return out
	}
	data = maps.Clone(data)
	out["data"] = data
	wantData, _ := want["data"].(object)
	switch e["type"] {
	case prefix + "cell.lifecycle.v1.destroyed":
		if c := data["residueClass"]; (c == "none" || c == "documented_exception") && wantData["residueClass"] == nil {
			delete(data, "residueClass")
		}
		if u, _ := data["evidenceBundleRef"].(string); strings.HasPrefix(u, "urn:") && wantData["evidenceBundleRef"] == nil {
			delete(data, "evidenceBundleRef")
		}
	case signed:
		in, ok := data["event"].(object)
		wantIn, ok2 := wantData["event"].(object)
		if ok && ok2 {
			data["event"] = core(in, wantIn)
		}
	}
	return out
}

func (m *matcher) value(at string, want, got any) []string {
	differ := func() []string { return []string{fmt.Sprintf("%s: want %s, got %s", at, text(want), text(got))} }
	switch w := want.(type) {
	case string:
		return m.text(at, w, got)
	case object:
		g, ok := got.(object)
		if !ok {
			return differ()
		}
		var diffs []string
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if v, ok := g[k]; ok {
				diffs = append(diffs, m.value(at+"."+k, w[k], v)...)
			} else {
				diffs = append(diffs, fmt.Sprintf("%s.%s: missing, want %s", at, k, text(w[k])))
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, ok := w[k]; !ok {
				diffs = append(diffs, fmt.Sprintf("%s.%s: unexpected member %s", at, k, text(g[k])))
			}
		}
		return diffs
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return differ()
		}
		var diffs []string
		for i := range w {
			diffs = append(diffs, m.value(fmt.Sprintf("%s[%d]", at, i), w[i], g[i])...)
		}
		return diffs
	case json.Number:
		g, ok := got.(json.Number)
		a, err1 := w.Float64()
		b, err2 := g.Float64()
		if !ok || w != g && (err1 != nil || err2 != nil || a != b) {
			return differ()
		}
		return nil
	}
	if want != got { // booleans and null
		return differ()
	}
	return nil
}

// text compares with an expected text, which may be or hold placeholders.
func (m *matcher) text(at, want string, got any) []string {
	differ := func(why string) []string {
		return []string{fmt.Sprintf("%s: want %s, got %s%s", at, text(want), text(got), why)}
	}
	if r := m.ms.FindStringSubmatch(want); r != nil {
		n, ok := got.(json.Number)
		v, err := strconv.ParseUint(string(n), 10, 63)
		if !ok || err != nil {
			return differ("")
		}
		if r[1] != "" {
			low, _ := strconv.ParseUint(r[1], 10, 63)
			high, _ := strconv.ParseUint(r[2], 10, 63)
			if v < low || v > high {
				return differ("")
			}
		}
		return nil
	}
	if want == "<bool>" || want == "<int>" {
		_, isBool := got.(bool)
		n, isNumber := got.(json.Number)
		_, err := n.Int64()
		if want == "<bool>" && isBool || want == "<int>" && isNumber && err == nil {
			return nil
		}
		return differ("")
	}
	g, ok := got.(string)
	if !ok {
		return differ("")
	}
	if want == "<raw-spec-sha256>" {
		if g != m.document {
			return differ(" (the document has " + m.document + ")")
		}
		return nil
	}
	if pieces, ok := strings.CutPrefix(want, "<text~"); ok {
		rest := strings.ToLower(g)
		for _, p := range strings.Split(strings.TrimSuffix(pieces, ">"), " … ") {
			_, after, found := strings.Cut(rest, strings.ToLower(strings.ReplaceAll(p, "<dir>", m.dir)))
			if !found {
				return differ(fmt.Sprintf(" (lacks %q)", p))
			}
			rest = after
		}
		return nil
	}
	return m.places(at, want, g)
}

func (m *matcher) places(at, want, got string) []string {
	pattern, last := "^", 0
	places := m.place.FindAllStringSubmatchIndex(want, -1)
	for _, p := range places {
		pattern += regexp.QuoteMeta(want[last:p[0]]) + "(" + m.kind(want[p[2]:p[3]]) + ")"
		last = p[1]
	}
	r := regexp.MustCompile(pattern + regexp.QuoteMeta(want[last:]) + "$").FindStringSubmatch(got)
	if r == nil {
		return []string{fmt.Sprintf("%s: want %q, got %q", at, want, got)}
	}
	for i, p := range places {
		if p[4] < 0 {
			continue
		}
		kind, value := want[p[2]:p[3]], r[i+1]
		key := [2]string{kind, want[p[4]:p[5]]}
		if old, ok := m.seen[key]; ok {
			if old != value {
				return []string{fmt.Sprintf("%s: <%s:%s> is %q here and was %q", at, key[0], key[1], value, old)}
			}
			continue
		}
		for k, v := range m.seen {
			if k[0] == kind && v == value {
				return []string{fmt.Sprintf("%s: <%s:%s> repeats the value %q of <%s:%s>", at, key[0], key[1], value, k[0], k[1])}
			}
		}
		m.seen[key] = value
	}
	return nil
}

// unordered compares two multisets, taking for each expected event the one that fits, or fits best.
func (m *matcher) unordered(want, got []object) []string {
	if len(want) != len(got) {
		return []string{fmt.Sprintf("asynchronous events: want %v, got %v", types(want), types(got))}
	}
	var diffs []string
	got = slices.Clone(got)
	for _, w := range want {
		best, least := 0, []string(nil)
		for i, g := range got {
			seen := maps.Clone(m.seen)
			d := m.event("asynchronous event "+types([]object{w})[0], w, g)
			if len(d) == 0 {
				best, least = i, nil
				break
			}
			m.seen = seen
			if i == 0 || len(d) < len(least) {
				best, least = i, d
			}
		}
		diffs = append(diffs, least...)
		got = slices.Delete(got, best, best+1)
	}
	return diffs
}

func text(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}
