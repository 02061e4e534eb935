// Package token verifies derivation tokens: somebody whose key the operator knows has signed that a cell may have certain rules and
// secrets, and the document asks for nothing beyond them.
//
//	keys, err := token.ParseKeys(data) // {"role": "base64 of 32 bytes"}; input.Problems
//	for _, p := range keys.Problems(doc, token.Demand{Scoped: true}) { … }
//
// That the token's own parts fit each other and the document, package document has checked.
package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cellos.io/cellos/admission/strict"
	"cellos.io/cellos/document"
	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
	"cellos.io/cellos/jsonwire"
)

// Keys are the public keys of roles. The nil Keys know no role.
type Keys map[string]strict.Key

// ParseKeys reads a key file: an object whose members are roles, and whose values are keys in standard base64 with padding. Every key
// must be usable. The error is of type input.Problems.
func ParseKeys(data []byte) (Keys, error) {
	root, err := input.Parse("keys.json", data)
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	report := input.Decode(root, &texts)
	keys := Keys{}
	for _, role := range slices.Sorted(maps.Keys(texts)) {
		at := (*input.Path)(nil).Field(role)
		if report.Lost(at) {
			continue
		}
		raw, err := decode(texts[role])
		if err == nil {
			keys[role], err = strict.ParseKey(raw)
		}
		if err != nil {
			report.Add(at, "%v", err)
		}
	}
	if err := report.Err(); err != nil {
		return nil, err
	}
	return keys, nil
}

var errBase64 = errors.New("is not standard base64 with padding")

// decode reads the one spelling of some bytes. Package base64 passes over line ends.
func decode(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, errBase64
	}
	return b, nil
}

// A Demand is what the operator asks of tokens.
type Demand struct {
	Scoped bool // a token names its parent run
	Subset bool // the document may ask for more than the token's leaf grants
}

// A Problem is one reason to refuse a document with a token.
type Problem struct{ Path, Text string }

const at = "spec.authority.authorityDerivation"

// Problems returns everything that is wrong with the token of a document; nil if it has none.
func (k Keys) Problems(doc *document.Document, d Demand) (list []Problem) {
	t := doc.Spec.Authority.AuthorityDerivation
	if t == nil {
		return nil
	}
	list = k.signature(t)
	if d.Scoped && Universal(t) {
		list = append(list, Problem{at + ".parentRunId", "universal tokens are refused: name the run that the token is for"})
	}
	if d.Subset {
		return list
	}
	return append(list, Beyond(doc)...)
}

// Universal reports whether a token is for no run in particular.
func Universal(t *document.AuthorityDerivation) bool {
	return t.ParentRunID == nil || *t.ParentRunID == ""
}

func (k Keys) signature(t *document.AuthorityDerivation) []Problem {
	key, known := k[t.RoleRoot]
	if !known {
		return []Problem{{at + ".roleRoot", "unknown role " + format.Quote(t.RoleRoot)}}
	}
	sig, err := decode(t.GrantorSignature.Bytes)
	const bytes = at + ".grantorSignature.bytes"
	switch {
	case err != nil:
		return []Problem{{bytes, err.Error()}}
	case len(sig) != 64:
		return []Problem{{bytes, fmt.Sprintf("has %d bytes; an Ed25519 signature has 64", len(sig))}}
	case !key.Verify(SignedBytes(t), sig):
		return []Problem{{at + ".grantorSignature", "signature invalid: it is not that of role " + format.Quote(t.RoleRoot) + " over this token"}}
	}
	return nil
}

// Beyond returns what a document asks for and its token does not grant.
func Beyond(doc *document.Document) (list []Problem) {
	a := &doc.Spec.Authority
	declared := document.Capability{EgressRules: a.EgressRules, SecretRefs: a.SecretRefs}
	rules, secrets := declared.Without(a.AuthorityDerivation.LeafCapability)
	for _, i := range rules {
		r := a.EgressRules[i]
		list = append(list, Problem{fmt.Sprintf("spec.authority.egressRules[%d]", i), fmt.Sprintf("%s port %d is not granted by the token's leafCapability", format.Quote(r.Host), r.Port)})
	}
	for _, i := range secrets {
		list = append(list, Problem{fmt.Sprintf("spec.authority.secretRefs[%d]", i), format.Quote(a.SecretRefs[i]) + " is not granted by the token's leafCapability"})
	}
	return list
}

// SignedBytes returns what the grantor signs: the token without its steps and signature, as compact JSON with the names of every
// object ascending. It is not hashed first.
func SignedBytes(t *document.AuthorityDerivation) []byte {
	b := []byte(`{"leafCapability":{"egressRules":[`)
	for i, r := range t.LeafCapability.EgressRules {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if r.DNSEgressJustification != nil {
			b = append(b, `"dnsEgressJustification":`...)
			b = append(jsonwire.AppendString(b, *r.DNSEgressJustification), ',')
		}
		b = append(b, `"host":`...)
		b = jsonwire.AppendString(b, r.Host)
		b = append(b, `,"port":`...)
		b = strconv.AppendUint(b, uint64(r.Port), 10)
		b = append(b, `,"protocol":`...)
		b = append(orNull(b, r.Protocol), '}')
	}
	b = append(b, `],"secretRefs":[`...)
	for i, s := range t.LeafCapability.SecretRefs {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsonwire.AppendString(b, s)
	}
	b = append(b, `]},"parentRunId":`...)
	b = orNull(b, t.ParentRunID)
	b = append(b, `,"roleRoot":`...)
	return append(jsonwire.AppendString(b, t.RoleRoot), '}')
}

func orNull(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return jsonwire.AppendString(b, *s)
}
