package document

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"

	"cellos.io/cellos/document/input"
	"cellos.io/cellos/document/internal/field"
)

// CanonicalSpec returns the one spelling of what d asks for: the spec as compact JSON with the fields in the order of the
// Go types, free names ascending, and defaults written out. What is absent is null or left out, field by field as it was
// when the format was fixed; fields added since are left out when absent. Two documents with the same meaning, in JSON or
// YAML, with other spacing or order, have the same canonical spec.
func (d *Document) CanonicalSpec() []byte {
	e := encoder{canonical: true, fields: map[reflect.Type][]field.Field{}}
	e.value(reflect.ValueOf(&d.Spec).Elem(), (*input.Path)(nil).Field("spec"), &field.Field{})
	return e.dst
}

// CanonicalDigest returns "sha256:" and the lower-case hexadecimal SHA-256 of CanonicalSpec.
func (d *Document) CanonicalDigest() string {
	sum := sha256.Sum256(d.CanonicalSpec())
	return "sha256:" + hex.EncodeToString(sum[:])
}
