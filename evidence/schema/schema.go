// Package schema holds the JSON Schema (draft 2020-12) of every event that a run can have: the envelope, the extension
// attributes, and for each type the members of its data, none more.
//
//	os.Stdout.Write(schema.Events())
//
// It describes events as they are before redaction, which may put another type in a member's place. The package does not validate: any
// validator of JSON Schema does.
package schema

import _ "embed"

//go:generate go run ./internal/mkschema events.txt events.json

//go:embed events.json
var events string

// Events returns the schema.
func Events() []byte { return []byte(events) }
