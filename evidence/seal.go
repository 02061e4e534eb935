package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"cellos.io/cellos/evidence/material"
)

// Signer signs events. Implementations are in package keys (a key file) and in its sub-packages (an agent, a command).
type Signer interface {
	// KeyID names the key as verifiers know it.
	KeyID() string
	// Sign signs message: it does what the key's algorithm does, hashing included.
	Sign(message []byte) ([]byte, error)
}

// DocumentDigest returns the digest of a document's bytes as read: what the first event's cellosprev holds.
func DocumentDigest(document []byte) string {
	sum := sha256.Sum256(document)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// seal is the one step between data and line: redact, wrap, number, chain, sign, in this order (so that nothing is
// hashed that is then changed). The first four are done here, under the stream's lock; sign does the last, which takes
// ten times as long, and which nothing that follows depends on: the chain hashes payloads and not signatures. seal changes
// nothing in the stream, so that an event which cannot be written leaves no gap. payload is nil without a signer.
func (s *Stream) seal(e Event, closing bool) (sealed Event, payload []byte, err error) {
	if s.c.Redact != nil {
		if e.Data, err = s.c.Redact(e.Type, e.Data); err != nil {
			return e, nil, err
		}
	}
	if s.c.Wrap != nil {
		if e, err = s.c.Wrap(e); err != nil {
			return e, nil, err
		}
	}
	e.Sequence, e.Run = s.seq+1, s.c.Run.ID
	if closing {
		e.Count = e.Sequence
	}
	if s.c.Signer == nil {
		return e, nil, nil
	}
	e.Prev = s.prev
	return e, e.payload(), nil
}

// sign completes a sealed event.
func (s *Stream) sign(e *Event, payload []byte) error {
	if payload == nil {
		return nil
	}
	sig, err := s.c.Signer.Sign(material.AppendPAE(nil, payload))
	if err != nil {
		return fmt.Errorf("signing event %s with key %s: %w", e.Type, s.c.Signer.KeyID(), err)
	}
	e.Material = material.Encode(payload, s.c.Signer.KeyID(), sig)
	return nil
}

// payload returns what is signed of the event: the digests of its documented members and of the extension attributes
// that place it in its run, and its exact time. Package verify computes the same from a line.
func (e Event) payload() []byte {
	core := material.Core{
		ID: e.ID, Source: e.Source, SpecVersion: "1.0", Type: e.Type, DataContentType: "application/json",
		Time: e.Time, Data: e.Data,
	}.Digest()
	names := []string{"sequence", "cellosrun", "cellosprev"}
	var buf [20]byte
	values := []string{string(appendSequence(buf[:0], e.Sequence)), e.Run, e.Prev}
	if e.Count != 0 {
		names, values = append(names, "celloscount"), append(values, strconv.FormatUint(e.Count, 10))
	}
	ext := material.ExtDigest(values)
	return material.AppendPayload(make([]byte, 0, 256), core, &ext, names, string(AppendTime(nil, e.Time)))
}

// PayloadDigest returns the cellosprev of the event after the one with this payload.
func PayloadDigest(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PayloadDigest returns the digest of the payload that the event's material signs, without verifying it.
func (e Event) PayloadDigest() (string, error) {
	envelope, err := material.Decode(e.Material)
	if err != nil {
		return "", fmt.Errorf("dssematerial: %v", err)
	}
	return PayloadDigest(envelope.Payload), nil
}
