package document

import _ "embed" // the schema

//go:generate go run ./internal/mkschema schema.json

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of documents, for editors and other tools. It accepts every document that
// Parse accepts, and some that Parse refuses: it knows no rule that compares fields, and few of the rules for texts.
func Schema() []byte { return []byte(schema) }
