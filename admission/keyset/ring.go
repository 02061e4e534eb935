// Package keyset verifies trust keysets: signed envelopes that say which keys are trusted, alone or as a chain of which each names the
// one before.
//
//	ring, err := keyset.ParseRing(data)                // {"kid": "base64url of 32 bytes"}; input.Problems
//	e, err := keyset.ParseEnvelope(data)               // input.Problems
//	v, err := e.Verify(ring, time.Now())               // input.Problems
//	err = v.Follows(previous)
//
// Every check that has nothing to do with the host is here; reading files is the caller's.
package keyset

import (
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"

	"cellos.io/cellos/admission/strict"
	"cellos.io/cellos/document/input"
)

// A Ring holds the keys that may sign keysets, by key id.
type Ring map[string]strict.Key

// ParseRing reads a ring: an object whose members are key ids, and whose values are keys in base64url, with or without padding. Every
// key must be usable. The error is of type input.Problems.
func ParseRing(data []byte) (Ring, error) {
	root, err := input.Parse("ring.json", data)
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	report := input.Decode(root, &texts)
	ring := Ring{}
	for _, kid := range slices.Sorted(maps.Keys(texts)) {
		at := (*input.Path)(nil).Field(kid)
		if report.Lost(at) {
			continue
		}
		raw, err := decode(texts[kid])
		if err == nil {
			ring[kid], err = strict.ParseKey(raw)
		}
		if err != nil {
			report.Add(at, "%v", err)
		}
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	return ring, nil
}

var errBase64 = errors.New("is not base64url")

// decode reads base64url with or without padding. Package base64 passes over line ends.
func decode(s string) ([]byte, error) {
	bare := strings.TrimRight(s, "=")
	b, err := base64.RawURLEncoding.Strict().DecodeString(bare)
	if err != nil || strings.ContainsAny(s, "\r\n") || len(s) != len(bare) && len(s)%4 != 0 {
		return nil, errBase64
	}
	return b, nil
}
