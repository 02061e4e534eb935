package redact

import (
	"fmt"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

// Strings returns a function for evidence.Config.Redact which rewrites every string value at any depth, after before has had the data;
// before may be nil. Names of members stay.
func Strings(rewrite func(string) string, before func(string, []byte) ([]byte, error)) func(eventType string, data []byte) ([]byte, error) {
	return func(eventType string, data []byte) (_ []byte, err error) {
		if before != nil {
			if data, err = before(eventType, data); err != nil {
				return nil, err
			}
		}
		out, err := rewritten(make([]byte, 0, len(data)), data, rewrite)
		if err != nil {
			return nil, fmt.Errorf("redacting event %s: %w", eventType, err)
		}
		return out, nil
	}
}

func rewritten(dst, value []byte, rewrite func(string) string) ([]byte, error) {
	if len(value) == 0 {
		return dst, nil
	}
	switch value[0] {
	case '"':
		s, err := canon.String(value)
		if err != nil {
			return nil, err
		}
		return jsonwire.AppendString(dst, rewrite(s)), nil
	case '{':
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
			if dst, err = rewritten(dst, m.Value, rewrite); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case '[':
		list, err := canon.Array(nil, value)
		if err != nil {
			return nil, err
		}
		dst = append(dst, '[')
		for i, v := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = rewritten(dst, v, rewrite); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	return append(dst, value...), nil
}
