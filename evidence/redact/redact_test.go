package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/redact"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
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

func TestStrings(t *testing.T) {
	before := redact.Fields([]string{"argv"})
	f := redact.Strings(func(s string) string { return strings.ReplaceAll(s, "x\"", "-") }, before)
	got, err := f("t", []byte(`{"a":"x\"","argv":["x\""],"b":[{"x\"":"1x\"2x\""},null,1.50,true]}`))
	if want := `{"a":"-","argv":["[redacted]"],"b":[{"x\"":"1-2-"},null,1.50,true]}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	for _, broken := range []string{`{"a":`, `["\x"]`, `"`} {
		if out, err := f("t", []byte(broken)); err == nil {
			t.Errorf("%s became %s", broken, out)
		}
	}
}

// FuzzLeak puts a value into the texts of events, as it is and encoded, and looks for it in what is signed and written.
func FuzzLeak(f *testing.F) {
	f.Add("correct horse battery", "--token=", "")
	f.Add("p<&>\"\\\n\tüx", "a", "bc")
	f.Add("\x00\x01\u202e\u2028", "", "")
	f.Fuzz(func(t *testing.T, value, before, after string) {
		if len(value) < 8 || len(value) > 1000 || len(before)+len(after) > 10000 || strings.ToValidUTF8(before+value+after, "") != before+value+after || strings.Contains(before+secret.Hidden+after, value) {
			t.Skip()
		}
		var known scrub.Set
		if err := known.Add(secret.FromString(value)); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		s, err := evidence.Open(evidence.Config{
			Run: evidence.Run{ID: evidence.NewID(), CellID: "c", SpecID: "c", RunID: "r"}, Redact: redact.Strings(known.Text, nil),
			Outputs: []evidence.Output{{Name: "run record", Sink: evidence.WriterSink(&out)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		whole := before + value + after
		quoted, _ := json.Marshal(whole)
		texts := []string{whole, hex.EncodeToString([]byte(whole)), base64.StdEncoding.EncodeToString([]byte(whole)), url.QueryEscape(whole), string(quoted)}
		if _, err := s.Append(evidence.SourceSupervisor, evidence.Completed{Argv: texts, SpawnError: whole}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Finish(evidence.SourceSupervisor, evidence.Destroyed{Reason: whole}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), secret.Hidden); n < len(texts)+2 {
			t.Errorf("%q is found %d times in\n%s", value, n, &out)
		}
		for line := range bytes.Lines(out.Bytes()) {
			var e struct {
				Data struct {
					Argv               []string
					SpawnError, Reason string
				}
			}
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			for _, text := range append(e.Data.Argv, e.Data.SpawnError, e.Data.Reason) {
				if strings.Contains(text, value) {
					t.Errorf("%q is left in %q", value, text)
				}
			}
		}
	})
}
