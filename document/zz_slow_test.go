package document

import (
	"strings"
	"testing"
	"time"
)

func TestZZSlow(t *testing.T) {
	for name, text := range map[string]string{
		"a.json":   `{"a":` + strings.Repeat("[", 1<<19) + `}`,
		"b.json":   `{` + strings.TrimSuffix(strings.Repeat(`"":1,`, 200000), ",") + `}`,
		"c.json":   `{"spec":{"authority":{"egressRules":[` + strings.TrimSuffix(strings.Repeat(`{},`, 340000), ",") + `]}}}`,
		"d.json":   `{"spec":{"run":{"environment":{` + strings.TrimSuffix(strings.Repeat(`"=":1,`, 170000), ",") + `}}}}`,
		"e.json":   `{"spec":{"telemetry":{"events":[` + strings.TrimSuffix(strings.Repeat(`"net.",`, 140000), ",") + `]}}}`,
		"f.yaml":   strings.Repeat("- ", 1<<19),
		"g.yaml":   strings.Repeat("[", 1<<19),
		"h.yaml":   strings.Repeat("a: b\n", 200000),
		"i.yaml":   strings.Repeat("? ", 1<<19),
		"j.yaml":   strings.Repeat("# c\n", 250000),
		"k.yaml":   strings.Repeat("- a # c\n", 130000),
		"l.yaml":   "- [" + strings.Repeat("a,", 500000) + "]",
		"m.yaml":   "a: " + strings.Repeat("x ", 500000),
		"n.yaml":   strings.Repeat("{a: ", 9000),
		"o.yaml":   "a: \"" + strings.Repeat("\\n", 500000) + "\"",
		"p.json":   "{\"a\":" + strings.Repeat("1", 1000000) + "}",
		"q.yaml":   strings.Repeat("- - \n", 200000),
	} {
		begin := time.Now()
		_, err := Parse(name, []byte(text))
		n := 0
		if err != nil { n = len(err.(Problems)) }
		t.Log(name, len(text), time.Since(begin), n, (err.(Problems)[0].In("f")))
	}
}
