package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSchemaIsCurrent(t *testing.T) {
	table, err := os.ReadFile("../../events.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Generate(string(table))
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../events.json")
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("events.json is not what events.txt says (%v): run go generate in package schema", err)
	}
}

func TestBadTables(t *testing.T) {
	for _, table := range []string{"type", "  a string", "kind x", "type x\ntype x", "type x\n  also y", "type x\n  a strong", "type x\n  a [strong]", "type x\n  a string|strong"} {
		if _, err := Generate(table); err == nil {
			t.Errorf("%q is accepted", table)
		}
	}
}
