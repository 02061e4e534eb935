package main

import (
	"os"
	"regexp"
	"testing"
)

// Every reason for which a connection is refused, as docs/network.md lists them, has words for people.
func TestRefusalWords(t *testing.T) {
	text, err := os.ReadFile("../../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \\|").FindAllStringSubmatch(string(text), -1)
	n := 0
	for _, row := range rows {
		for _, code := range regexp.MustCompile("[a-z0-9_]+").FindAllString(row[1], -1) {
			switch code {
			case "denied_query_type", "denied_query_limit", "malformed_query": // questions are told when a connection follows
				continue
			}
			n++
			if refusalWords(code) == "" {
				t.Errorf("%s has no words", code)
			}
		}
	}
	if n < 18 {
		t.Errorf("the page lists %d reasons", n)
	}
}
