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
