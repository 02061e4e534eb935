package material

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

// AppendPAE appends the bytes that a DSSE signature covers (DSSE protocol, "Signature Definition"), for an event.
func AppendPAE(dst, payload []byte) []byte { return AppendPAEOf(dst, PayloadType, payload) }

// AppendPAEOf does, for a payload of any type.
func AppendPAEOf(dst []byte, payloadType string, payload []byte) []byte {
	dst = slices.Grow(dst, len("DSSEv1 ")+len(payloadType)+len(payload)+42)
	dst = append(dst, "DSSEv1 "...)
	dst = strconv.AppendInt(dst, int64(len(payloadType)), 10)
	dst = append(dst, " "+payloadType+" "...)
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
	if strings.IndexByte(s, '-') >= 0 || strings.IndexByte(s, '_') >= 0 {
		enc = base64.URLEncoding
	}
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return nil, errors.New("not base64: a line break")
	}
	b, err := enc.DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64")
	}
	if len(b) > 0 { // Encoding.Strict says the same, and copies the alphabet each time
		var last [4]byte
		if string(enc.AppendEncode(last[:0], b[(len(b)-1)/3*3:])) != s[len(s)-4:] {
			return nil, errors.New("not base64")
		}
	}
	return b, nil
}
