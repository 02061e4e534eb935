package redact_test

import (
	"testing"

	"cellos.io/cellos/evidence/redact"
)

func TestFields(t *testing.T) {
	for _, c := range []struct {
		names    []string
		in, want string
	}{
		{[]string{"argv"}, `{"argv":["/bin/sh","-c"],"exitCode":0}`, `{"argv":["[redacted]"],"exitCode":0}`},
		{[]string{"n", "b", "z", "s", "o"}, `{"b":true,"n":1.50,"o":{"x":1},"s":"é","z":null}`, `{"b":"[redacted]","n":"[redacted]","o":{},"s":"[redacted]","z":"[redacted]"}`},
		{[]string{"DEFAULTS"}, `{"argv":[],"deep":[{"path":"/x"},[{"reason":"r"}]],"path2":1}`, `{"argv":["[redacted]"],"deep":[{"path":"[redacted]"},[{"reason":"[redacted]"}]],"path2":1}`},
		{[]string{"defaults", "x"}, `{"argv":[],"defaults":1,"x":2}`, `{"argv":[],"defaults":"[redacted]","x":"[redacted]"}`},
		{[]string{"Argv"}, `{"argv":["a"]}`, `{"argv":["a"]}`},
		{[]string{"a\"b"}, `{"a\"b":1}`, `{"a\"b":"[redacted]"}`},
	} {
		got, err := redact.Fields(c.names)("t", []byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%v of %s: %s, %v; want %s", c.names, c.in, got, err, c.want)
		}
	}
	if redact.Fields(nil) != nil {
		t.Error("no names, but something to do")
	}
	if out, err := redact.Fields([]string{"x"})("t", []byte(`{"a":`)); err == nil {
		t.Errorf("broken data became %s", out)
	}
}
