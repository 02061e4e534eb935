// Command mkschema writes the JSON Schema of documents from the Go types of package document and their tags.
//
//	go run ./internal/mkschema schema.json
//
// It is run by go generate in package document; a test there fails when the result is not current.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mkschema FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], Generate(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "mkschema:", err)
		os.Exit(1)
	}
}
