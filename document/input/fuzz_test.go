package input

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzJSONAgainstLibrary: what we accept encoding/json accepts too, and scalars mean the same; what we refuse beyond it is
// one of the things that it lets pass.
func FuzzJSONAgainstLibrary(f *testing.F) {
	for _, s := range []string{`{}`, `[1,-0.5e+3,"\u00e9\ud83d\ude00",true,null]`, `{"a":{"a":[]}}`, `["\ud800"]`, "[\"a\tb\"]", `[01]`, `"\u12`, ` {"a" : 1 } x`, `[1,]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("a.json", data)
		var value any
		if libErr := json.Unmarshal(data, &value); err == nil && libErr != nil && !strings.Contains(libErr.Error(), "cannot unmarshal number") {
			t.Fatalf("accepted, but encoding/json says %v", libErr)
		} else if err != nil && libErr == nil {
			text := err.Error()
			if utf8.Valid(data) && !strings.Contains(text, "surrogate") && !strings.Contains(text, "deep") && !strings.Contains(text, "1 MiB") {
				t.Fatalf("refused with %v, but encoding/json accepts", err)
			}
		}
		if s, ok := value.(string); err == nil && ok && n.Text != s {
			t.Fatalf("read %q, encoding/json reads %q", n.Text, s)
		}
	})
}
