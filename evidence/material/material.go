// Package material computes and spells the verification material of the CloudEvents extension "Verifiable CloudEvents
// with DSSE" (cloudevents/extensions/verifiability.md): two digests over an event, as a JSON object, in a DSSE
// envelope (DSSE 1.0.2), in base64.
//
//	core := material.Core{ID: "1", Source: "/x", SpecVersion: "1.0", Type: "t", Data: data}.Digest()
//	payload := material.AppendPayload(nil, core, nil, nil, "")
//	sig := sign(material.AppendPAE(nil, payload))
//	event.dssematerial = material.Encode(payload, keyID, sig)
//
// Our payload has one member more than the extension names, which its readers ignore: time, the event's time to the
// nanosecond, because the extension hashes whole seconds. The package does not sign and does not verify signatures.
package material

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

// PayloadType is the DSSE payload type that the extension defines.
const PayloadType = "https://cloudevents.io/verifiability/dsse/v0.1"

// Digest is a SHA-256 sum.
type Digest = [sha256.Size]byte

// Core has the values under the core digest. An attribute that the event does not have is empty, which the extension
// does not tell from present and empty.
type Core struct {
	ID, Source, SpecVersion, Type, DataContentType, DataSchema, Subject string

	Time time.Time // hashed in UTC with whole seconds; zero: the event has none
	Data []byte    // the bytes of the data, for JSON the text
}

// Digest returns the SHA-256 over the SHA-256 sums of the nine values in the extension's order.
func (c Core) Digest() Digest {
	var sums [9 * sha256.Size]byte
	b := sums[:0]
	for _, s := range [...]string{c.ID, c.Source, c.SpecVersion, c.Type, c.DataContentType, c.DataSchema, c.Subject} {
		b = appendSum(b, s)
	}
	var buf [32]byte
	t := buf[:0]
	if !c.Time.IsZero() {
		t = c.Time.UTC().AppendFormat(t, "2006-01-02T15:04:05Z")
	}
	sum := sha256.Sum256(t)
	b = append(b, sum[:]...)
	sum = sha256.Sum256(c.Data)
	return sha256.Sum256(append(b, sum[:]...))
}

// ExtDigest returns the SHA-256 over the SHA-256 sums of the values of signed extension attributes, in the order of
// their names in the payload. Values are canonical: a string as it is, an integer in decimal, a boolean as true or
// false; one that the event does not have is empty.
func ExtDigest(values []string) Digest {
	var sums [8 * sha256.Size]byte
	b := sums[:0]
	for _, s := range values {
		b = appendSum(b, s)
	}
	return sha256.Sum256(b)
}

func appendSum(dst []byte, s string) []byte {
	var buf [128]byte
	sum := sha256.Sum256(append(buf[:0], s...))
	return append(dst, sum[:]...)
}

// Payload is what is signed.
type Payload struct {
	Core, Ext Digest
	Signed    []string  // names of the signed extension attributes; with none there is no Ext
	Time      time.Time // ours, to the nanosecond; zero: not there
}

// AppendPayload appends the payload's JSON. exactTime is the event's time as it is written in the event, or empty.
func AppendPayload(dst []byte, core Digest, ext *Digest, names []string, exactTime string) []byte {
	dst = append(dst, `{"core":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, core[:])
	if ext != nil {
		dst = append(dst, `","ext":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, ext[:])
		dst = append(dst, `","signedextattrs":[`...)
		for i, n := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = jsonwire.AppendString(dst, n)
		}
		dst = append(dst, ']')
	} else {
		dst = append(dst, '"')
	}
	if exactTime != "" {
		dst = append(dst, `,"time":`...)
		dst = jsonwire.AppendString(dst, exactTime)
	}
	return append(dst, '}')
}

// ParsePayload reads a payload and checks what the extension demands of it.
func ParsePayload(text []byte) (Payload, error) {
	var p Payload
	members, err := canon.Object(make([]canon.Member, 0, 8), text)
	if err != nil {
		return p, err
	}
	core, ext, signed := false, false, false
	for _, m := range members {
		switch m.Name {
		case "core":
			p.Core, err = digest(m.Value)
			core = true
		case "ext":
			p.Ext, err = digest(m.Value)
			ext = true
		case "signedextattrs":
			p.Signed, err = names(m.Value)
			signed = true
		case "time":
			var s string
			if s, err = canon.String(m.Value); err == nil {
				p.Time, err = time.Parse(time.RFC3339Nano, s)
			}
		}
		if err != nil {
			return Payload{}, fmt.Errorf("%s: %v", m.Name, err)
		}
	}
	switch {
	case !core:
		return Payload{}, errors.New("no core digest")
	case ext != signed:
		return Payload{}, errors.New("ext and signedextattrs do not go together")
	}
	return p, nil
}

func digest(value []byte) (d Digest, err error) {
	s, err := canon.String(value)
	if err != nil {
		return d, err
	}
	b, err := decode(s)
	if err != nil || len(b) != len(d) {
		return d, errors.New("not the base64 of 32 bytes")
	}
	return Digest(b), nil
}

// names reads signedextattrs: no repetition, no attribute of the core, not the material itself.
func names(value []byte) ([]string, error) {
	items, err := canon.Array(nil, value)
	if err != nil {
		return nil, err
	}
	if len(items) > 64 {
		return nil, fmt.Errorf("%d names", len(items))
	}
	out := make([]string, 0, len(items))
	for _, it := range items {
		n, err := canon.String(it)
		if err != nil {
			return nil, err
		}
		switch n {
		case "id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "dssematerial", "data", "data_base64":
			return nil, fmt.Errorf("%q is no extension attribute to sign", n)
		}
		for _, m := range out {
			if m == n {
				return nil, fmt.Errorf("%q occurs twice", n)
			}
		}
		out = append(out, n)
	}
	return out, nil
}

// AppendPAE appends the bytes that a DSSE signature covers (DSSE protocol, "Signature Definition").
func AppendPAE(dst, payload []byte) []byte {
	dst = append(dst, "DSSEv1 "...)
	dst = strconv.AppendInt(dst, int64(len(PayloadType)), 10)
	dst = append(dst, " "+PayloadType+" "...)
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, ' ')
	return append(dst, payload...)
}

// Signature is one signature of an envelope.
type Signature struct {
	KeyID string // unauthenticated: a hint
	Sig   []byte
}

// Envelope is a DSSE envelope of the extension's payload type.
type Envelope struct {
	Payload    []byte
	Signatures []Signature
}

// Encode returns the value of the attribute dssematerial.
func Encode(payload []byte, keyID string, sig []byte) string {
	b := make([]byte, 0, 640)
	b = append(b, `{"payloadType":"`+PayloadType+`","payload":"`...)
	b = base64.StdEncoding.AppendEncode(b, payload)
	b = append(b, `","signatures":[{"keyid":`...)
	b = jsonwire.AppendString(b, keyID)
	b = append(b, `,"sig":"`...)
	b = base64.StdEncoding.AppendEncode(b, sig)
	b = append(b, `"}]}`...)
	return base64.StdEncoding.EncodeToString(b)
}

// Decode reads a value of dssematerial.
func Decode(value string) (Envelope, error) {
	var e Envelope
	text, err := decode(value)
	if err != nil {
		return e, errors.New("not base64")
	}
	members, err := canon.Object(make([]canon.Member, 0, 4), text)
	if err != nil {
		return e, err
	}
	for _, m := range members {
		var s string
		switch m.Name {
		case "payloadType":
			if s, err = canon.String(m.Value); err == nil && s != PayloadType {
				err = fmt.Errorf("%q is not the one for CloudEvents", s)
			}
			text = nil // seen
		case "payload":
			if s, err = canon.String(m.Value); err == nil {
				e.Payload, err = decode(s)
			}
		case "signatures":
			e.Signatures, err = signatures(m.Value)
		}
		if err != nil {
			return Envelope{}, fmt.Errorf("%s: %v", m.Name, err)
		}
	}
	if text != nil || e.Payload == nil || len(e.Signatures) == 0 {
		return Envelope{}, errors.New("not a DSSE envelope: payloadType, payload or signatures is missing")
	}
	return e, nil
}

func signatures(value []byte) ([]Signature, error) {
	items, err := canon.Array(nil, value)
	if err != nil {
		return nil, err
	}
	if len(items) > 16 { // each costs a verification
		return nil, fmt.Errorf("%d signatures", len(items))
	}
	out := make([]Signature, 0, len(items))
	for _, it := range items {
		members, err := canon.Object(make([]canon.Member, 0, 2), it)
		if err != nil {
			return nil, err
		}
		var s Signature
		for _, m := range members {
			var text string
			switch m.Name {
			case "keyid":
				s.KeyID, err = canon.String(m.Value)
			case "sig":
				if text, err = canon.String(m.Value); err == nil {
					s.Sig, err = decode(text)
				}
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %v", m.Name, err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// decode reads base64 with padding in the standard or the URL-safe alphabet, as DSSE allows, and nothing that
// could be spelled in another way: no line breaks, no spare bits.
func decode(s string) ([]byte, error) {
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("not base64: a line break")
	}
	b, err := enc.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64")
	}
	return b, nil
}
