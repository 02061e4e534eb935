// Package transport signs events in the documented way (CELLOS_EVENT_SIGNING): each becomes the content of a transport event
// of type dev.cellos.events.signed_envelope.v1, with an Ed25519 or HMAC-SHA-256 signature of its own.
//
//	signer, err := transport.FromEnv(os.Getenv) // nil: not asked for
//	if signer != nil { config.Wrap = signer.Wrap }
//
// It is for readers that know only this form. It says nothing about missing or moved events: the chain of package evidence
// does, which is on the transport event.
package transport

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/eddsa"
	"cellos.io/cellos/jsonwire"
)

// Source is the source of transport events.
const Source = "/cellos-supervisor/event-signing"

// Signer makes transport events. It prints as its key id only.
type Signer struct {
	kid       string
	algorithm string // "ed25519" or "hmac-sha256"
	sign      func([]byte) []byte
}

// FromEnv reads CELLOS_EVENT_SIGNING (off, ed25519, hmac or hmac-sha256, in any case of letters), CELLOS_EVENT_SIGNING_KID and
// CELLOS_EVENT_SIGNING_KEY_BASE64 (either alphabet, with or without padding: a seed of 32 bytes, or any key for HMAC). Off is
// nil. A configuration that cannot be used is an error, and never unsigned events.
func FromEnv(getenv func(string) string) (*Signer, error) {
	mode := strings.ToLower(strings.TrimSpace(getenv("CELLOS_EVENT_SIGNING")))
	if mode == "" || mode == "off" {
		return nil, nil
	}
	if mode != "ed25519" && mode != "hmac" && mode != "hmac-sha256" {
		return nil, fmt.Errorf("CELLOS_EVENT_SIGNING: %q is none of off, ed25519, hmac-sha256", mode)
	}
	kid := strings.TrimSpace(getenv("CELLOS_EVENT_SIGNING_KID"))
	if kid == "" {
		return nil, errors.New("CELLOS_EVENT_SIGNING_KID: no key id given")
	}
	key, err := decode(getenv("CELLOS_EVENT_SIGNING_KEY_BASE64"))
	switch {
	case err != nil || len(key) == 0:
		return nil, errors.New("CELLOS_EVENT_SIGNING_KEY_BASE64: not a key in base64") // and never what stands there
	case mode != "ed25519":
		return NewHMAC(kid, key), nil
	case len(key) != ed25519.SeedSize:
		return nil, fmt.Errorf("CELLOS_EVENT_SIGNING_KEY_BASE64: %d bytes; an Ed25519 seed has 32", len(key))
	}
	return NewEd25519(kid, key), nil
}

func decode(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	s = strings.NewReplacer("+", "-", "/", "_").Replace(s)
	return base64.RawURLEncoding.DecodeString(s)
}

// NewEd25519 returns a signer with the key of the seed, which has 32 bytes. To compute the key takes 0.2 ms, which go on beside the caller.
func NewEd25519(kid string, seed []byte) *Signer {
	private := sync.OnceValue(func() *eddsa.Key { return eddsa.NewKey(seed) })
	go private()
	return &Signer{kid, "ed25519", func(m []byte) []byte { return private().Sign(m) }}
}

// NewHMAC returns a signer with a key for HMAC-SHA-256.
func NewHMAC(kid string, key []byte) *Signer {
	return &Signer{kid, "hmac-sha256", func(m []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write(m)
		return h.Sum(nil)
	}}
}

// String returns the key id, and so do all verbs of package fmt.
func (s *Signer) String() string             { return s.kid }
func (s *Signer) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.kid) }

// Wrap returns the transport event for inner: same id and time, inner and its signature in data. It is made for
// evidence.Config.Wrap.
func (s *Signer) Wrap(inner evidence.Event) (evidence.Event, error) {
	message := inner.AppendDocumented(nil)
	data := append(make([]byte, 0, len(message)+512), `{"algorithm":"`...)
	data = append(data, s.algorithm...)
	data = append(data, `","event":`...)
	data = appendAscending(data, inner)
	data = append(data, `,"signature":"`...)
	data = base64.RawURLEncoding.AppendEncode(data, s.sign(message))
	data = append(data, `","signerKid":`...)
	data = append(jsonwire.AppendString(data, s.kid), '}')
	return evidence.Event{ID: inner.ID, Source: Source, Type: evidence.TypeSignedEnvelope, Time: inner.Time, Data: data}, nil
}

// appendAscending appends the documented members of an event in the order of their names. Its data is canonical already.
func appendAscending(dst []byte, e evidence.Event) []byte {
	dst = append(dst, `{"data":`...)
	if len(e.Data) == 0 {
		dst = append(dst, "null"...)
	}
	dst = append(dst, e.Data...)
	dst = append(dst, `,"datacontenttype":"application/json","id":`...)
	dst = append(jsonwire.AppendString(dst, e.ID), `,"source":`...)
	dst = append(jsonwire.AppendString(dst, e.Source), `,"specversion":"1.0","time":`...)
	if e.Time.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(evidence.AppendTime(append(dst, '"'), e.Time), '"')
	}
	dst = append(dst, `,"traceparent":null,"type":`...)
	return append(jsonwire.AppendString(dst, e.Type), '}')
}
