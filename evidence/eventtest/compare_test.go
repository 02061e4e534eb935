package eventtest

import (
	"os"
	"strings"
	"testing"
)

func lines(s ...string) []byte { return []byte(strings.Join(s, "\n") + "\n") }

const id1, id2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-9222-222222222222"

func ev(id, typ, data, more string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"s","type":"` + typ + `","datacontenttype":"application/json","data":` + data + `,"time":"<time>","traceparent":null` + more + `}`
}

func at(line string) string {
	return strings.ReplaceAll(line, "<time>", "2026-11-23T09:12:33.552743888+00:00")
}

func TestCompare(t *testing.T) {
	o := Options{Dir: "/tmp/d.1", Document: []byte("{}"), AllowOwn: true}
	const a = "dev.cellos.events.a"
	for name, c := range map[string]struct {
		want, got string // data
		diff      string // part of the only difference; empty: equal
	}{
		"equal":          {`{"a":1,"b":[true,null]}`, `{"b":[true,null],"a":1.0}`, ""},
		"number":         {`{"a":1}`, `{"a":2}`, "data.a: want 1, got 2"},
		"type":           {`{"a":1}`, `{"a":"1"}`, `want 1, got "1"`},
		"null":           {`{"a":null}`, `{"a":false}`, "want null, got false"},
		"missing":        {`{"a":1}`, `{}`, "data.a: missing"},
		"unexpected":     {`{}`, `{"a":1}`, "data.a: unexpected"},
		"length":         {`{"a":[1]}`, `{"a":[1,2]}`, "want [1]"},
		"ms":             {`{"a":"<ms:5..9>","b":"<ms>"}`, `{"a":5,"b":0}`, ""},
		"ms outside":     {`{"a":"<ms:5..9>"}`, `{"a":10}`, "want"},
		"ms negative":    {`{"a":"<ms>"}`, `{"a":-1}`, "want"},
		"bool":           {`{"a":"<bool>"}`, `{"a":0}`, "want"},
		"hash":           {`{"a":"<raw-spec-sha256>"}`, `{"a":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}`, ""},
		"hash differs":   {`{"a":"<raw-spec-sha256>"}`, `{"a":"45136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}`, "the document has"},
		"text":           {`{"a":"<text~One … <dir>/x>"}`, `{"a":"it is ONE, in /tmp/d.1/x."}`, ""},
		"text order":     {`{"a":"<text~b … a>"}`, `{"a":"a b"}`, `lacks "a"`},
		"dir":            {`{"a":"x<dir>/y"}`, `{"a":"x/tmp/d.1/y"}`, ""},
		"dir is literal": {`{"a":"x<dir>/y"}`, `{"a":"x/tmp/dx1/y"}`, "want"},
		"same":           {`{"a":"<uuid:1>"}`, `{"a":"` + id1 + `"}`, ""},
		"not the same":   {`{"a":"<uuid:1>"}`, `{"a":"` + id2 + `"}`, "is"},
		"not another":    {`{"a":"<uuid:2>"}`, `{"a":"` + id1 + `"}`, "repeats"},
		"version 1":      {`{"a":"<uuid:2>"}`, `{"a":"11111111-1111-1111-8111-111111111111"}`, "want"},
	} {
		got := Compare(lines(ev("<uuid:1>", a, c.want, "")), lines(at(ev(id1, a, c.got, `,"sequence":"1"`))), o)
		if c.diff == "" && len(got) != 0 || c.diff != "" && (len(got) != 1 || !strings.Contains(got[0], c.diff)) {
			t.Errorf("%s: %q, want %q", name, got, c.diff)
		}
	}
	two := lines(ev("<uuid:1>", a, "{}", ""), ev("<uuid:2>", a+"b", "{}", ""))
	for name, c := range map[string]struct {
		got   []byte
		async []string
		diffs int
	}{
		"order":             {lines(at(ev(id2, a+"b", "{}", "")), at(ev(id1, a, "{}", ""))), nil, 1},
		"order of async":    {lines(at(ev(id2, a+"b", "{}", "")), at(ev(id1, a, "{}", ""))), []string{"ab"}, 0},
		"missing async":     {lines(at(ev(id1, a, "{}", ""))), []string{"ab"}, 1},
		"own":               {lines(at(ev(id1, a, "{}", "")), at(ev("x", "io.cellos.x", "{}", "")), at(ev(id2, a+"b", "{}", ""))), nil, 0},
		"foreign attribute": {lines(at(ev(id1, a, "{}", `,"Bad_Name":1`)), at(ev(id2, a+"b", "{}", `,"obj":{}`))), nil, 2},
		"no JSON":           {[]byte("{\n"), nil, 1},
	} {
		o.Async = c.async
		if d := Compare(two, c.got, o); len(d) != c.diffs {
			t.Errorf("%s: %q, want %d differences", name, d, c.diffs)
		}
	}
}

func TestResidueClass(t *testing.T) {
	const typ = "dev.cellos.events.cell.lifecycle.v1.destroyed"
	for data, n := range map[string]int{`{"residueClass":"none"}`: 0, `{"residueClass":"lots"}`: 1, `{"evidenceBundleRef":"urn:a:b:c"}`: 0} {
		if d := Compare(lines(ev("<uuid:1>", typ, "{}", "")), lines(at(ev(id1, typ, data, ""))), Options{}); len(d) != n {
			t.Errorf("%s: %q", data, d)
		}
	}
}

// TestLoad reads every stored case and finds it equal to itself where placeholders are put in.
func TestLoad(t *testing.T) {
	dir := os.DirFS("../testdata/streams")
	names, err := Names(dir)
	if err != nil || len(names) < 15 {
		t.Fatalf("%d cases, %v", len(names), err)
	}
	for _, n := range names {
		c, err := Load(dir, n)
		if err != nil || c.Name != n || len(c.DocumentBytes(nil)) == 0 || c.Compat == "" {
			t.Errorf("%s: %+v, %v", n, c.Name, err)
		}
		if strings.Contains(string(c.Stream), "\"id\"") && len(c.Compare(nil, Options{})) != 1 {
			t.Errorf("%s equals the empty stream", n)
		}
	}
}
