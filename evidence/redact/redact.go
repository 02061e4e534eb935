// Package redact replaces named members of event data, before anything is hashed or signed.
//
//	config.Redact = redact.Fields([]string{"argv", "path"})
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
	return func(eventType string, data []byte) ([]byte, error) {
		out, err := walk(make([]byte, 0, len(data)), data, names)
		if err != nil {
			return nil, fmt.Errorf("redacting event %s: %w", eventType, err)
		}
		return out, nil
	}
}

// walk appends value, which is canonical, with its members replaced: it stays canonical.
func walk(dst, value []byte, names []string) ([]byte, error) {
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
			if slices.Contains(names, m.Name) {
				dst = append(dst, replacement(m.Value)...)
			} else if dst, err = walk(dst, m.Value, names); err != nil {
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
			if dst, err = walk(dst, v, names); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
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
