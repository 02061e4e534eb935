package eventtest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cellos.io/cellos/evidence/schema"
)

// compiled is the schema of events; compiling it takes milliseconds.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Events()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("events.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("events.json")
})

// Valid holds every whole line of a stream against the JSON Schema of events, and the inner event of a documented signed envelope too. It
// returns what is wrong, a line each.
func Valid(stream []byte) (problems []string) {
	s, err := compiled()
	if err != nil {
		return []string{err.Error()}
	}
	for n, line := range bytes.SplitAfter(stream, []byte("\n")) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // torn
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = validate(s, v)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("line %d: %s\n%s", n+1, strings.ReplaceAll(err.Error(), "\n", "; "), bytes.TrimSpace(line)))
		}
	}
	return problems
}

func validate(s *jsonschema.Schema, v any) error {
	if err := s.Validate(v); err != nil {
		return err
	}
	data, _ := v.(map[string]any)["data"].(map[string]any)
	if inner, ok := data["event"]; ok {
		return s.Validate(inner)
	}
	return nil
}
