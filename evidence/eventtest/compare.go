package eventtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	prefix = "dev.cellos.events."
	signed = prefix + "signed_envelope.v1"
)

// documented returns the members that the existing program writes, in its order.
func documented() []string {
	return []string{"specversion", "id", "source", "type", "datacontenttype", "data", "time", "traceparent"}
}

// Options say what a comparison needs to know besides the two streams.
type Options struct {
	Dir      string   // ${DIR} of the run
	Document []byte   // the document's bytes, for <raw-spec-sha256>
	Async    []string // as in Case
	AllowOwn bool     // further events are allowed anywhere if their type does not begin with "dev.cellos.events."

	// Key and KeyID verify signed envelopes: CELLOS_EVENT_SIGNING_KEY_BASE64 and CELLOS_EVENT_SIGNING_KID. No key: not verified.
	Key, KeyID string
}

// Compare compares the lines of got with the case's stream and returns the differences, one a string. Async, Key and
// KeyID come from the case where o leaves them empty.
func (c Case) Compare(got []byte, o Options) []string {
	if o.Async == nil {
		o.Async = c.Async
	}
	if o.Key == "" {
		o.Key, o.KeyID = c.Env["CELLOS_EVENT_SIGNING_KEY_BASE64"], c.Env["CELLOS_EVENT_SIGNING_KID"]
	}
	return Compare(c.Stream, got, o)
}

// Compare compares the lines of got with those of want, which may hold placeholders.
func Compare(want, got []byte, o Options) []string {
	w, err := decode(want)
	if err != nil {
		return []string{"expected stream: " + err.Error()}
	}
	g, err := decode(got)
	if err != nil {
		return []string{"stream: " + err.Error()}
	}
	if o.AllowOwn {
		g = slices.DeleteFunc(g, func(e object) bool { return !strings.HasPrefix(inner(e), prefix) })
	}
	m := newMatcher(o)
	async := func(e object) bool {
		return slices.Contains(o.Async, strings.TrimPrefix(inner(e), prefix))
	}
	ws, wa := split(w, async)
	gs, ga := split(g, async)
	if a, b := types(ws), types(gs); !slices.Equal(a, b) {
		return []string{fmt.Sprintf("the order of events differs:\n  want %s\n  got  %s", strings.Join(a, " "), strings.Join(b, " "))}
	}
	var diffs []string
	for i := range ws {
		diffs = append(diffs, m.event(fmt.Sprintf("event %d %s", i+1, types(ws[i : i+1])[0]), ws[i], gs[i])...)
	}
	diffs = append(diffs, m.unordered(wa, ga)...)
	for i, e := range g {
		diffs = append(diffs, envelope(fmt.Sprintf("event %d", i+1), e, o)...)
	}
	return diffs
}

type object = map[string]any

// decode reads one object a line, numbers as json.Number.
func decode(text []byte) ([]object, error) {
	var list []object
	for i, line := range bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var e object
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("line %d: %v", i+1, err)
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, fmt.Errorf("line %d: something after the event", i+1)
		}
		list = append(list, e)
	}
	return list, nil
}

// inner returns the type of an event, or of the one in a signed envelope.
func inner(e object) string {
	t, _ := e["type"].(string)
	if t == signed {
		if d, ok := e["data"].(object); ok {
			if in, ok := d["event"].(object); ok {
				t, _ = in["type"].(string)
			}
		}
	}
	return t
}

func types(list []object) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = strings.TrimPrefix(inner(e), prefix)
		if e["type"] == signed {
			out[i] = "signed(" + out[i] + ")"
		}
	}
	return out
}

func split(list []object, async func(object) bool) (ordered, rest []object) {
	for _, e := range list {
		if async(e) {
			rest = append(rest, e)
		} else {
			ordered = append(ordered, e)
		}
	}
	return ordered, rest
}
