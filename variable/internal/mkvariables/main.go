// Command mkvariables writes the page of environment variables from the table of package variable.
//
//	go run ./internal/mkvariables ../docs/variables.md
//
// It is run by go generate in package variable; a test there fails when the page is not current.
package main

import (
	"fmt"
	"os"

	"cellos.io/cellos/variable"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mkvariables FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(variable.Markdown()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "mkvariables:", err)
		os.Exit(1)
	}
}
