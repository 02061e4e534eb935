package verify

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/material"
)

// event is one line, as far as it can be read without judging it.
type event struct {
	core       material.Core // Data: the bytes as they stand
	attributes []attribute   // extension attributes that are there, dssematerial excepted
	material   string

	run, prev string
	sequence  uint64 // 0: none
	count     uint64 // 0: none

	keyID  string // of the signature that verifies
	digest string // of the signed payload; empty: not known
}

type attribute struct{ name, value string }

// parse reads a line: JSON with every member once, attributes of the types that CloudEvents gives them.
func parse(line []byte) (*event, error) {
	members, err := canon.Object(make([]canon.Member, 0, 16), line)
	if err != nil {
		return nil, err
	}
	e := &event{}
	for _, m := range members {
		if canon.IsNull(m.Value) {
			continue // unset
		}
		if err := e.member(m); err != nil {
			return nil, fmt.Errorf("%s: %v", m.Name, err)
		}
	}
	if e.core.SpecVersion != "1.0" || e.core.ID == "" || e.core.Type == "" {
		return nil, errors.New("not a CloudEvent 1.0")
	}
	return e, nil
}

func (e *event) member(m canon.Member) (err error) {
	switch m.Name {
	case "id":
		e.core.ID, err = canon.String(m.Value)
	case "source":
		e.core.Source, err = canon.String(m.Value)
	case "specversion":
		e.core.SpecVersion, err = canon.String(m.Value)
	case "type":
		e.core.Type, err = canon.String(m.Value)
	case "datacontenttype":
		e.core.DataContentType, err = canon.String(m.Value)
	case "dataschema":
		e.core.DataSchema, err = canon.String(m.Value)
	case "subject":
		e.core.Subject, err = canon.String(m.Value)
	case "time":
		var s string
		if s, err = canon.String(m.Value); err == nil {
			if e.core.Time, err = time.Parse(time.RFC3339Nano, s); err != nil {
				err = errors.New("not a time as in RFC 3339")
			}
		}
	case "data":
		e.core.Data = m.Value
	case "dssematerial":
		e.material, err = canon.String(m.Value)
	default:
		return e.extension(m)
	}
	return err
}

func (e *event) extension(m canon.Member) (err error) {
	a := attribute{name: m.Name, value: string(m.Value)}
	switch c := m.Value[0]; {
	case c == '"':
		a.value, err = canon.String(m.Value)
	case c == '{' || c == '[':
		err = errors.New("not a scalar")
	case c != 't' && c != 'f' && strings.ContainsAny(a.value, ".eE"):
		err = errors.New("not an integer")
	}
	if err != nil {
		return err
	}
	e.attributes = append(e.attributes, a)
	text := m.Value[0] == '"'
	switch m.Name {
	case "sequence":
		if e.sequence, err = strconv.ParseUint(a.value, 10, 63); err != nil || !text || len(a.value) < 10 {
			err = errors.New("not a sequence number")
		}
	case "celloscount":
		if e.count, err = strconv.ParseUint(a.value, 10, 63); err != nil || text {
			err = errors.New("not a count")
		}
	case "cellosrun":
		if e.run = a.value; !text {
			err = errors.New("not a text")
		}
	case "cellosprev":
		if e.prev = a.value; !text {
			err = errors.New("not a text")
		}
	}
	return err
}

func (e *event) attribute(name string) string {
	for _, a := range e.attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// check verifies the signature, and that the event is what was signed. It returns no kind for a good event.
func (e *event) check(trusted *trusted) (Kind, string) {
	if e.material == "" {
		return Unsigned, "no dssematerial"
	}
	envelope, err := material.Decode(e.material)
	if err != nil {
		return BadSignature, "dssematerial: " + err.Error()
	}
	kind, detail := e.signature(envelope, trusted)
	if kind == BadSignature {
		return kind, detail
	}
	p, err := material.ParsePayload(envelope.Payload)
	if err != nil {
		return BadSignature, "signed payload: " + err.Error()
	}
	e.digest = evidence.PayloadDigest(envelope.Payload)
	if k, d := e.compare(p); k != "" { // with an unknown key too: it says more
		return k, d
	}
	return kind, detail
}

func (e *event) signature(envelope material.Envelope, trusted *trusted) (Kind, string) {
	pae := material.AppendPAE(nil, envelope.Payload)
	known := false
	for _, s := range envelope.Signatures {
		key := trusted.key(s.KeyID)
		if key == nil {
			continue
		}
		known = true
		if key.Verify(pae, s.Sig) {
			e.keyID = s.KeyID
			return "", ""
		}
	}
	if !known {
		return UnknownKey, "signed with key " + printable(envelope.Signatures[0].KeyID)
	}
	return BadSignature, "the signature does not verify"
}

// trusted are the keys to trust, and what is known for verifying with those that were used.
type trusted struct {
	keys Keys
	used map[string]*keys.Verifier
}

// key returns the key with an id; nil: it is not trusted.
func (t *trusted) key(id string) *keys.Verifier {
	v, ok := t.used[id]
	if k, is := t.keys[id]; !ok && is {
		v = keys.NewVerifier(k)
		t.used[id] = v
	}
	return v
}

// compare computes the digests from the event and compares them with the signed ones.
func (e *event) compare(p material.Payload) (Kind, string) {
	if e.core.Digest() != p.Core {
		if kind, detail := e.respell(p.Core); kind != "" {
			return kind, detail
		}
	}
	if !p.Time.IsZero() && !p.Time.Equal(e.core.Time) {
		return Altered, "the time is not the one that was signed"
	}
	values := make([]string, len(p.Signed))
	for i, n := range p.Signed {
		values[i] = e.attribute(n)
	}
	if len(values) > 0 && material.ExtDigest(values) != p.Ext {
		return Altered, "the signed attributes " + strings.Join(p.Signed, ", ") + " are not what was signed"
	}
	for _, n := range [...]string{"sequence", "cellosrun", "cellosprev"} {
		if !slices.Contains(p.Signed, n) || e.attribute(n) == "" {
			return Unsigned, "the attribute " + n + " is not signed"
		}
	}
	for _, a := range e.attributes {
		if !slices.Contains(p.Signed, a.name) {
			return Unsigned, "the attribute " + printable(a.name) + " is not signed"
		}
	}
	return "", ""
}

// respell puts data into the canonical spelling, which is the signed one, and compares again: so a transport that reads
// and writes JSON does no harm.
func (e *event) respell(want material.Digest) (Kind, string) {
	if e.core.Data != nil {
		data, err := canon.Append(nil, e.core.Data)
		if err != nil {
			return Unreadable, "data: " + err.Error()
		}
		e.core.Data = data
	}
	if e.core.Digest() != want {
		return Altered, "the event is not the one that was signed"
	}
	return "", ""
}

// verified returns the event for Verifier.Visit.
func (e *event) verified() evidence.Event {
	return evidence.Event{
		ID: e.core.ID, Source: e.core.Source, Type: e.core.Type, Time: e.core.Time.UTC(), Data: append([]byte(nil), e.core.Data...),
		Sequence: e.sequence, Run: e.run, Prev: e.prev, Count: e.count, Material: e.material,
	}
}

// printable shortens and quotes what comes from an event that nobody vouches for.
func printable(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strconv.Quote(s)
}
