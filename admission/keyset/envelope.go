package keyset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
)

// PayloadType is the only type of payload.
const PayloadType = "application/vnd.cellos.trust-keyset-v1+json"

// An Envelope is a signed keyset as read.
type Envelope struct {
	SchemaVersion          string      `json:"schemaVersion" doc:"required,enum=1.0.0"`
	PayloadType            string      `json:"payloadType" doc:"required,enum=application/vnd.cellos.trust-keyset-v1+json"`
	Payload                string      `json:"payload" doc:"required"` // base64url
	Signatures             []Signature `json:"signatures" doc:"required,min=1"`
	PayloadDigest          string      `json:"payloadDigest" doc:"required,format=digest"` // of the decoded payload
	ProducedAt             string      `json:"producedAt" doc:"required"`                  // RFC 3339
	ReplacesEnvelopeDigest *string     `json:"replacesEnvelopeDigest" doc:"format=digest"` // payloadDigest of the keyset before
	RequiredSignerCount    *int64      `json:"requiredSignerCount" doc:"min=1,max=4294967295"`

	report  *input.Report
	payload []byte
	id      string
}

// A Signature is one signer's.
type Signature struct {
	SignerKid string  `json:"signerKid" doc:"required"`
	Algorithm string  `json:"algorithm" doc:"required"` // others than ed25519 do not count
	Signature string  `json:"signature" doc:"required"` // base64url
	NotBefore *string `json:"notBefore"`                // RFC 3339, both inclusive
	NotAfter  *string `json:"notAfter"`
}

// ParseEnvelope reads an envelope and checks everything that needs no key. The error is of type input.Problems.
func ParseEnvelope(data []byte) (*Envelope, error) {
	root, err := input.Parse("keyset.json", data)
	if err != nil {
		return nil, err
	}
	e := new(Envelope)
	e.report = input.Decode(root, e)
	at := func(name string) *input.Path { return (*input.Path)(nil).Field(name) }
	if !e.report.Lost(at("producedAt")) {
		if _, err := time.Parse(time.RFC3339, e.ProducedAt); err != nil {
			e.report.Add(at("producedAt"), "%s is not a time of RFC 3339", format.Quote(e.ProducedAt))
		}
	}
	if !e.report.Lost(at("payload")) {
		e.content(at)
	}
	return e, e.report.Err()
}

// content decodes the payload, and reads the keyset's name from it.
func (e *Envelope) content(at func(string) *input.Path) {
	var err error
	if e.payload, err = decode(e.Payload); err != nil {
		e.report.Add(at("payload"), "%v", err)
		return
	}
	if sum := e.digest(); sum != e.PayloadDigest && !e.report.Lost(at("payloadDigest")) {
		e.report.Add(at("payloadDigest"), "is not that of the payload, which is %s", sum)
	}
	root, err := input.Parse("payload.json", e.payload)
	if err != nil {
		e.report.Add(at("payload"), "does not hold JSON: %v", err)
		return
	}
	if id := root.Member("keysetId"); root.Kind == input.Object && id != nil && id.Kind == input.String {
		e.id = id.Text
		return
	}
	e.report.Add(at("payload"), "does not hold an object with the text keysetId")
}

func (e *Envelope) digest() string {
	sum := sha256.Sum256(e.payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// A Verified is what a good envelope says.
type Verified struct {
	KeysetID  string
	Digest    string // payloadDigest
	SignerKid string // of the first signature that holds

	replaces *string
}

// Verify checks the signatures at a time. Keys are counted and not their names: a key with two names is one signer. The error is of type
// input.Problems.
func (e *Envelope) Verify(ring Ring, now time.Time) (*Verified, error) {
	needed := int64(1)
	if e.RequiredSignerCount != nil {
		needed = *e.RequiredSignerCount
	}
	list := (*input.Path)(nil).Field("signatures")
	signers := map[string]bool{}
	v := &Verified{KeysetID: e.id, Digest: e.digest(), replaces: e.ReplacesEnvelopeDigest}
	for i, s := range e.Signatures {
		key, known := ring[s.SignerKid]
		if !known || s.Algorithm != "ed25519" || signers[key.String()] {
			continue
		}
		valid, ok := e.window(list.Item(i), s, now)
		if !ok {
			return nil, e.report.Err()
		}
		sig, err := decode(s.Signature)
		if !valid || err != nil || !key.Verify(e.payload, sig) {
			continue
		}
		signers[key.String()] = true
		if v.SignerKid == "" {
			v.SignerKid = s.SignerKid
		}
	}
	switch n := int64(len(signers)); {
	case n == 0:
		e.report.Add(list, "no signature verified with a known key at this time")
		if needed > 1 {
			e.report.Add((*input.Path)(nil).Field("requiredSignerCount"), "only 0 distinct signers verified, need %d", needed)
		}
	case n < needed:
		e.report.Add((*input.Path)(nil).Field("requiredSignerCount"), "only %d distinct signers verified, need %d", n, needed)
	}
	if err := e.report.Err(); err != nil {
		return nil, err
	}
	return v, nil
}

// window reports whether a signature is valid at a time; ok is false when its dates cannot be read.
func (e *Envelope) window(p *input.Path, s Signature, now time.Time) (valid, ok bool) {
	valid, ok = true, true
	for _, x := range []struct {
		name string
		text *string
		bad  func(t time.Time) bool
	}{
		{"notBefore", s.NotBefore, now.Before},
		{"notAfter", s.NotAfter, now.After},
	} {
		if x.text == nil {
			continue
		}
		t, err := time.Parse(time.RFC3339, *x.text)
		if err != nil {
			e.report.Add(p.Field(x.name), "%s is not a time of RFC 3339", format.Quote(*x.text))
			ok = false
		} else if x.bad(t) {
			valid = false
		}
	}
	return valid, ok
}

// Follows returns an error unless v names the keyset before it in a chain.
func (v *Verified) Follows(before *Verified) error {
	const path = "replacesEnvelopeDigest"
	switch {
	case v.replaces == nil:
		return input.Problem{Path: path, Text: "is missing: it names the keyset before, " + before.Digest}
	case *v.replaces != before.Digest:
		return input.Problem{Path: path, Text: fmt.Sprintf("mismatch: %s is not the keyset before, %s", *v.replaces, before.Digest)}
	}
	return nil
}
