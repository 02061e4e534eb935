package scrub_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
)

func TestString(t *testing.T) {
	values := []secret.Value{secret.FromString("hunter2"), secret.FromString("hunter2-and-more"), secret.FromString("abc"), {}}
	for in, want := range map[string]string{
		"nothing":                             "nothing",
		"a hunter2 b hunter2":                 "a [secret] b [secret]",
		"x=hunter2-and-more;":                 "x=[secret];",
		"abc stays":                           "abc stays",
		"68756e74657232 upper 68756E74657232": "[secret] upper [secret]",
	} {
		if got := scrub.String(in, values); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	v := secret.FromString("hunter2")
	v.Wipe()
	if got := scrub.String("hunter2", []secret.Value{v}); got != "hunter2" {
		t.Errorf("a wiped value is still known: %q", got)
	}
}

// FuzzLeak puts a value between two texts, encodes them together in each of the ways, and looks for it in what is left.
func FuzzLeak(f *testing.F) {
	f.Add("correct horse battery", "user:", "@host")
	f.Add("p<&>\"\\\n\tüx", "a", "bc")
	f.Add("a+b/c=d%20", "", "")
	f.Fuzz(func(t *testing.T, value, before, after string) {
		if len(value) < 8 || len(value) > 1000 || strings.ToValidUTF8(value, "") != value || strings.Contains(secret.Hidden, value) {
			t.Skip()
		}
		values := []secret.Value{secret.FromString(value)}
		whole := before + value + after
		leaks := func(name, encoded string, decode func(string) string) {
			clean := scrub.String(encoded, values)
			if !strings.Contains(clean, secret.Hidden) {
				t.Errorf("%s: %q is not found in %q", name, value, encoded)
			}
			if decode != nil && strings.Contains(decode(clean), value) {
				t.Errorf("%s: %q is left in %q", name, value, clean)
			}
		}
		leaks("raw", whole, nil)
		leaks("hex", hex.EncodeToString([]byte(whole)), nil)
		leaks("HEX", strings.ToUpper(hex.EncodeToString([]byte(whole))), nil)
		for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding} {
			leaks(name, enc.EncodeToString([]byte(whole)), nil)
		}
		leaks("query", url.QueryEscape(whole), nil)
		leaks("path", url.PathEscape(whole), nil)
		if q, err := json.Marshal(whole); err == nil && strings.ToValidUTF8(whole, "") == whole {
			leaks("json", string(q), func(s string) (out string) { json.Unmarshal([]byte(s), &out); return out })
		}
	})
}
