package evidence_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/eventtest"
	"cellos.io/cellos/evidence/schema"
)

// definition is what this test reads of a schema.
type definition struct {
	Properties map[string]struct {
		Ref   string `json:"$ref"`
		Items struct {
			Ref string `json:"$ref"`
		}
	}
	Required []string
}

func definitions(t *testing.T) map[string]definition {
	t.Helper()
	var s struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(schema.Events(), &s); err != nil {
		t.Fatal(err)
	}
	return s.Defs
}

// TestFormatPage: docs/evidence-format.md names every member of our own events.
func TestFormatPage(t *testing.T) {
	page, err := os.ReadFile("../docs/evidence-format.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for name, d := range definitions(t) {
		short, own := strings.CutPrefix(name, evidence.OwnPrefix)
		if !own {
			continue
		}
		_, row, found := strings.Cut(string(page), "\n| `"+short+"` |")
		if !found {
			t.Errorf("%s has no row", short)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		rows++
		for member := range d.Properties {
			if !slices.Contains([]string{"cellId", "specId", "runId"}, member) && !strings.Contains(row, "`"+member+"`") && !strings.Contains(row, "`"+member+"?`") {
				t.Errorf("the row of %s does not name %s", short, member)
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows", rows)
	}
}

// TestEveryTypeHasASchema reads the constants of types.go.
func TestEveryTypeHasASchema(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "types.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	prefix := map[string]string{"documented": "dev.cellos.events.", "observability": "dev.cellos.events.cell.observability.v1.", "OwnPrefix": evidence.OwnPrefix}
	defs, n := definitions(t), 0
	ast.Inspect(f, func(node ast.Node) bool {
		v, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Type") {
			return true
		}
		sum := v.Values[0].(*ast.BinaryExpr)
		name := prefix[sum.X.(*ast.Ident).Name] + strings.Trim(sum.Y.(*ast.BasicLit).Value, `"`)
		if n++; defs[name].Properties == nil {
			t.Errorf("%s (%s) has no schema in evidence/schema/events.txt", v.Names[0].Name, name)
		}
		return false
	})
	if n < 30 {
		t.Errorf("only %d types found", n)
	}
}

// TestSchemaHasEveryMember: what a payload can write, with everything set and with nothing, is what the schema names.
func TestSchemaHasEveryMember(t *testing.T) {
	defs := definitions(t)
	var look func(where, name string, v any)
	look = func(where, name string, v any) {
		m, ok := v.(map[string]any)
		if !ok || name == "" { // a free object
			return
		}
		d := defs[name]
		for _, k := range slices.Sorted(maps.Keys(m)) {
			p, ok := d.Properties[k]
			if !ok {
				t.Errorf("%s.%s is not in the schema", where, k)
			}
			look(where+"."+k, strings.TrimPrefix(p.Ref, "#/$defs/"), m[k])
			if list, ok := m[k].([]any); ok && p.Items.Ref != "" {
				for _, x := range list {
					look(where+"."+k, strings.TrimPrefix(p.Items.Ref, "#/$defs/"), x)
				}
			}
		}
		for _, k := range d.Required {
			if _, ok := m[k]; !ok {
				t.Errorf("%s.%s is required and can be left out", where, k)
			}
		}
	}
	r := evidence.Run{ID: "i", CellID: "c", SpecID: "s", RunID: "r", Correlation: &evidence.Correlation{Labels: map[string]string{}, TenantID: ptr("t"), CorrelationID: ptr("c")}}
	for _, p := range full() {
		if _, free := p.(evidence.Other); free {
			continue
		}
		var v any
		if err := json.Unmarshal(p.AppendData(nil, &r), &v); err != nil {
			t.Fatal(err)
		}
		look(p.Type(), p.Type(), v)
	}
}

// TestStreamsAreValid: the stored streams of the existing program, rebuilt, are what the schema says.
func TestStreamsAreValid(t *testing.T) {
	for name, build := range cases() {
		c, err := eventtest.Load(os.DirFS("testdata/streams"), name)
		if err != nil {
			t.Fatal(err)
		}
		r := record(t, c, map[string]string{"DIR": "/tmp/case-1"})
		build(r, "/tmp/case-1")
		for _, p := range eventtest.Valid(r.out.Bytes()) {
			t.Errorf("%s: %s", name, p)
		}
	}
	for _, bad := range []string{"x\n", "{}\n", `{"specversion":"1.0","id":"a","source":"b","type":"unknown","datacontenttype":"application/json","data":{},"time":null,"traceparent":null}` + "\n"} {
		if len(eventtest.Valid([]byte(bad))) != 1 {
			t.Errorf("%q is valid", bad)
		}
	}
}
