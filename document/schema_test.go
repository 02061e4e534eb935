package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cellos.io/cellos/document/input"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t testing.TB) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaVectors: the schema accepts what Parse accepts, and refuses what breaks the shape.
func TestSchemaVectors(t *testing.T) {
	s := compiledSchema(t)
	accepted, refused := 0, 0
	for _, v := range vectors(t) {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(v.data(t)))
		if err != nil || v.Args != nil {
			continue
		}
		err = s.Validate(value)
		if !v.refused() {
			accepted++
			if err != nil {
				t.Errorf("%s: accepted by Parse, refused by the schema: %v", v.ID, err)
			}
			continue
		}
		_, problems := Parse("document.json", v.data(t))
		if err == nil && problems != nil && aboutShape(problems) {
			t.Errorf("%s: accepted by the schema: %v", v.ID, problems)
		} else if err != nil {
			refused++
		}
	}
	if accepted < 200 || refused < 200 {
		t.Errorf("%d accepted and %d refused vectors are too few to say anything", accepted, refused)
	}
}

func aboutShape(err error) bool {
	text := err.Error()
	if strings.Contains(text, "in decimal digits") {
		return false // to JSON Schema, 1.0 and 1e2 are integers
	}
	for _, words := range []string{"unknown field", "is required\n", "must be a ", "must be true", "must be an ", " is above 65535", " is below "} {
		if strings.Contains(text+"\n", words) {
			return true
		}
	}
	return false
}

// TestSchemaHasEveryField walks types and schema side by side, without the generator: same names, same required ones.
func TestSchemaHasEveryField(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	defs := schema["$defs"].(map[string]any)
	seen := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ.Name()] {
			return
		}
		seen[typ.Name()] = true
		s := schema
		if typ != reflect.TypeFor[Document]() {
			s, _ = defs[strings.ToLower(typ.Name()[:1])+typ.Name()[1:]].(map[string]any)
		}
		variants := []any{s}
		if s["oneOf"] != nil {
			variants = s["oneOf"].([]any)
		}
		var have, want, required, wantRequired []string
		for _, v := range variants {
			v := v.(map[string]any)
			if v["additionalProperties"] != false {
				t.Errorf("%s: unknown fields are not refused", typ)
			}
			for name := range v["properties"].(map[string]any) {
				have = append(have, name)
			}
			if list, ok := v["required"].([]any); ok {
				for _, name := range list {
					required = append(required, name.(string))
				}
			}
		}
		for f := range typ.Fields() {
			name := f.Tag.Get("json")
			want = append(want, name)
			if slices.Contains(strings.Split(f.Tag.Get("doc"), ","), "required") {
				wantRequired = append(wantRequired, name)
			}
			walk(f.Type)
		}
		for _, pair := range [][2]*[]string{{&have, &want}, {&required, &wantRequired}} {
			for _, list := range pair {
				slices.Sort(*list)
				*list = slices.Compact(*list)
			}
			if !slices.Equal(*pair[0], *pair[1]) {
				t.Errorf("%s: schema has %v, type has %v", typ, *pair[0], *pair[1])
			}
		}
	}
	walk(reflect.TypeFor[Document]())
	if len(seen) != len(defs)+1 {
		t.Errorf("%d types, %d definitions", len(seen), len(defs)+1)
	}
}

// TestTagsAreUsable reads an object with every field present through the decoder, so that a tag which it cannot serve fails here.
func TestTagsAreUsable(t *testing.T) {
	var full func(reflect.Type, string) *input.Node
	full = func(typ reflect.Type, kind string) *input.Node {
		switch typ.Kind() {
		case reflect.Pointer:
			return full(typ.Elem(), kind)
		case reflect.Slice:
			return &input.Node{Kind: input.List, Items: []*input.Node{full(typ.Elem(), "http"), full(typ.Elem(), "s3")}}
		case reflect.Map:
			return &input.Node{Kind: input.Object, Members: []input.Member{{Name: "a", Value: &input.Node{Kind: input.String}}}}
		case reflect.Struct:
			n := &input.Node{Kind: input.Object}
			for f := range typ.Fields() {
				value := full(f.Type, kind)
				if f.Tag.Get("json") == "kind" {
					value.Text = kind
				}
				n.Members = append(n.Members, input.Member{Name: f.Tag.Get("json"), Value: value})
			}
			return n
		case reflect.String:
			return &input.Node{Kind: input.String, Text: "x"}
		case reflect.Bool:
			return &input.Node{Kind: input.Bool, Text: "true"}
		}
		return &input.Node{Kind: input.Number, Text: "1"}
	}
	err := input.Decode(full(reflect.TypeFor[Document](), ""), new(Document)).Err()
	if err == nil || strings.Contains(err.Error(), "cellos bug") {
		t.Errorf("not the problems that texts like \"x\" have: %v", err)
	}
}
