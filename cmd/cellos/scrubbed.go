package main

import (
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
)

// A scrubber knows the secrets of a run as long as events are written, which is longer than they are delivered. It is used under the
// lock of the event stream.
type scrubber struct {
	values func(func(secret.Value)) // those that are delivered now
	known  []secret.Value
}

// text takes the secrets out of a text.
func (s *scrubber) text(t string) string {
	s.values(func(v secret.Value) {
		for _, k := range s.known {
			if v.Use(func(b []byte) error {
				if k.Equal(b) {
					return nil
				}
				return secret.ErrWiped
			}) == nil {
				return
			}
		}
		if v.Len() > 0 {
			s.known = append(s.known, secret.Take(v.AppendTo(nil)))
		}
	})
	return scrub.String(t, s.known)
}

func (s *scrubber) wipe() {
	for _, v := range s.known {
		v.Wipe()
	}
}
