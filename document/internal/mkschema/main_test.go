package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSchemaIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, Generate()) {
		t.Error("schema.json is not what the types say: run go generate in package document")
	}
}
