// Package attest makes an in-toto Statement of a verified run, about the files that it exported and changed, and signs it in a DSSE envelope,
// so that ordinary supply-chain tools can check them.
//
//	var run attest.Run
//	report, err := verify.Verifier{Keys: keys, Visit: run.Visit}.Verify(stream)
//	if report.Verdict() != verify.Good { … }
//	statement, err := run.Statement(attest.Cell, report)
//	envelope, err := attest.Sign(statement, signer)
//
// Two predicates say what is known of the files: [Cell], our own (docs/attestation.md), and [SLSA], provenance of SLSA 1.0. Both hold nothing
// that the signed events do not say, and no document, because a document may hold values of the environment.
package attest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/material"
	"cellos.io/cellos/evidence/verify"
)

// Types of the in-toto attestation framework, version 1.
const (
	PayloadType   = "application/vnd.in-toto+json"
	StatementType = "https://in-toto.io/Statement/v1"
)

// A Predicate is a predicate type.
type Predicate string

// The predicates.
const (
	Cell Predicate = "https://cellos.io/attestation/run/v1"
	SLSA Predicate = "https://slsa.dev/provenance/v1"
)

// Context is what a statement says that the events do not: who made it, and what lay beside them.
type Context struct {
	Version string // of this program
	Builder string // URI of whoever vouches for the machine; empty: DefaultBuilder
	Events  string // SHA-256 of the stream's bytes, 64 hexadecimal digits
}

// DefaultBuilder names no machine in particular: a cellos whose key one knows.
const DefaultBuilder = "https://cellos.io/builder/cellos"

// Digests are the in-toto DigestSet.
type Digests map[string]string

// Resource is the in-toto ResourceDescriptor.
type Resource struct {
	Name        string         `json:"name,omitempty"`
	Digest      Digests        `json:"digest"`
	Annotations map[string]any `json:"annotations,omitempty"`
}

// Statement is the in-toto Statement.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"`
	PredicateType Predicate  `json:"predicateType"`
	Predicate     any        `json:"predicate"`
}

// Statement returns the statement about the run, which must have verified: a report that is not good is refused.
func (r *Run) Statement(kind Predicate, report verify.Report, c Context) (Statement, error) {
	if v := report.Verdict(); v != verify.Good {
		return Statement{}, fmt.Errorf("attesting: the evidence does not verify: %s", v)
	}
	if report.Abandoned {
		return Statement{}, errors.New("attesting: nobody saw the end of the run")
	}
	if c.Builder == "" {
		c.Builder = DefaultBuilder
	}
	s := Statement{Type: StatementType, PredicateType: kind, Subject: r.subjects()}
	if len(s.Subject) == 0 {
		// A statement has a subject. That of a run that left no file is what it left: its evidence.
		s.Subject = []Resource{{Name: "events.jsonl", Digest: Digests{"sha256": c.Events}}}
	}
	switch kind {
	case Cell:
		s.Predicate = r.cell(report)
	case SLSA:
		s.Predicate = r.slsa(report, c)
	default:
		return Statement{}, fmt.Errorf("attesting: unknown predicate %q", string(kind))
	}
	return s, nil
}

// subjects are the exported and the changed files, each name once.
func (r *Run) subjects() []Resource {
	list := []Resource{}
	seen := map[string]string{}
	add := func(name, digest, how string) {
		if seen[name] == digest {
			return
		}
		if seen[name] != "" {
			name = how + ":" + name
		}
		if seen[name] == "" {
			seen[name] = digest
			list = append(list, Resource{Name: name, Digest: Digests{"sha256": digest}, Annotations: map[string]any{"cellos.io/how": how}})
		}
	}
	for _, a := range r.artifacts {
		add(a.name, a.digest, "exported")
	}
	for _, f := range r.files {
		add(f.name, f.digest, f.how)
	}
	return list
}

// Envelope is a DSSE envelope in JSON.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one of an envelope's.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// Sign puts a statement into a DSSE envelope.
func Sign(s Statement, key evidence.Signer) (Envelope, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return Envelope{}, fmt.Errorf("attesting: %w", err)
	}
	sig, err := key.Sign(material.AppendPAEOf(nil, PayloadType, payload))
	if err != nil {
		return Envelope{}, fmt.Errorf("signing the attestation with key %s: %w", key.KeyID(), err)
	}
	return Envelope{PayloadType, base64.StdEncoding.EncodeToString(payload), []Signature{{key.KeyID(), base64.StdEncoding.EncodeToString(sig)}}}, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// digest is the DigestSet of a digest as events have it.
func digest(s string) Digests { return Digests{"sha256": strings.TrimPrefix(s, "sha256:")} }
