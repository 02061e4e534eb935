// Package redact rewrites event data before anything is hashed or signed: it replaces members by their names, and texts by what they are.
//
//	config.Redact = redact.Fields([]string{"argv", "path"})
//	config.Redact = redact.Strings(known.Text, config.Redact)
package redact

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

// Mark stands where a value was.
const Mark = "[redacted]"

// Fields returns a function for evidence.Config.Redact which replaces the members with these names at any depth: an array becomes an
// array with Mark, an object an empty one, everything else Mark. The one name "defaults", in any case of letters, means argv, path
// and reason. Without names it is nil: nothing to do.
func Fields(names []string) func(eventType string, data []byte) ([]byte, error) {
	if len(names) == 0 {
		return nil
	}
	if len(names) == 1 && strings.EqualFold(names[0], "defaults") {
		names = []string{"argv", "path", "reason"}
	}
	names = slices.Clone(names)
	w := walker{member: func(name string, value []byte) string {
		if slices.Contains(names, name) {
			return replacement(value)
		}
		return ""
	}}
	return w.data
}

// Strings returns a function for evidence.Config.Redact which rewrites every string value at any depth, after before has had the data;
// before may be nil. Names of members stay.
func Strings(rewrite func(string) string, before func(string, []byte) ([]byte, error)) func(eventType string, data []byte) ([]byte, error) {
	w := walker{text: rewrite}
	return func(eventType string, data []byte) (_ []byte, err error) {
		if before != nil {
			if data, err = before(eventType, data); err != nil {
				return nil, err
			}
		}
		return w.data(eventType, data)
	}
}

// A walker says what becomes of the parts of data. A function that is nil changes nothing.
type walker struct {
	member func(name string, value []byte) string // JSON to put in place of a member's value; "": it is walked
	text   func(string) string
}

func (w walker) data(eventType string, data []byte) ([]byte, error) {
	out, err := w.walk(make([]byte, 0, len(data)), data)
	if err != nil {
		return nil, fmt.Errorf("redacting event %s: %w", eventType, err)
	}
	return out, nil
}

// walk appends value, which is canonical, as it is to be: it stays canonical.
func (w walker) walk(dst, value []byte) ([]byte, error) {
	switch {
	case len(value) > 0 && value[0] == '{':
		members, err := canon.Object(nil, value)
		if err != nil {
			return nil, err
		}
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsonwire.AppendString(dst, m.Name), ':')
			with := ""
			if w.member != nil {
				with = w.member(m.Name, m.Value)
			}
			if with != "" {
				dst = append(dst, with...)
			} else if dst, err = w.walk(dst, m.Value); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case len(value) > 0 && value[0] == '[':
		list, err := canon.Array(nil, value)
		if err != nil {
			return nil, err
		}
		dst = append(dst, '[')
		for i, v := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = w.walk(dst, v); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case len(value) > 0 && value[0] == '"' && w.text != nil:
		s, err := canon.String(value)
		if err != nil {
			return nil, err
		}
		return jsonwire.AppendString(dst, w.text(s)), nil
	}
	return append(dst, value...), nil
}

func replacement(value []byte) string {
	switch value[0] {
	case '[':
		return `["` + Mark + `"]`
	case '{':
		return "{}"
	}
	return `"` + Mark + `"`
}
