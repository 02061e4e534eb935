// Command mkschema writes the JSON Schema of the events from the table events.txt, whose head explains the notation.
//
//	go run ./internal/mkschema events.txt events.json
//
// It is run by go generate in package schema; a test there fails when the result is not current.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mkschema TABLE FILE")
		os.Exit(2)
	}
	table, err := os.ReadFile(os.Args[1])
	var out []byte
	if err == nil {
		out, err = Generate(string(table))
	}
	if err == nil {
		err = os.WriteFile(os.Args[2], out, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mkschema:", err)
		os.Exit(1)
	}
}
