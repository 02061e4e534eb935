package pack

import (
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version        string
		plain, allowed bool // accepted without and with AllowDowngrade
	}{
		{"1.0.0", true, true}, {"1.99.3-rc.1", true, true}, {"1.0.0-0", true, true}, {"0.9.0", false, true}, {"0.0.0", false, true},
		{"2.0.0", false, false}, {"10.0.0", false, false}, {"1.0", false, false}, {"01.0.0", false, false}, {"v1.0.0", false, false}, {"1.0.0+b", false, false},
		{"1.0.0-", false, false}, {"1.18446744073709551616.0", false, false}, {"1.18446744073709551615.0", true, true}, {"", false, false},
	} {
		data := []byte(`{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"p","version":"` + c.version + `","rules":{}}}`)
		if _, err := Parse(data, Options{}); (err == nil) != c.plain {
			t.Errorf("%q: %v", c.version, err)
		}
		if _, err := Parse(data, Options{AllowDowngrade: true}); (err == nil) != c.allowed {
			t.Errorf("%q, allowed: %v", c.version, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		patterns, host string
		ok             bool
	}{
		{"*", "anything", true}, {"a.example", "a.example", true}, {"a.example", "A.example", false}, {"*.example", "x.example", true}, {"*.example", "x.y.example", true},
		{"*.example", "example", false}, {"*.example", "xexample", false}, {"a.*.example", "a.b.example", false}, {"::1", "[::1]", true}, {"[::1]", "::1", true}, {"b,a.example", "a.example", true},
	} {
		if got := allows(strings.Split(c.patterns, ","), c.host); got != c.ok {
			t.Errorf("%s allows %s: %v", c.patterns, c.host, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"p","version":"1.0.0","rules":{"allowedEgressHosts":["*"],"secretRefAllowlist":{"a":["b"]}}}}`))
	f.Add([]byte(`{"spec":{"rules":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := Parse(data, Options{}); err == nil && (p.Spec.ID == "" || p.Digest == "") {
			t.Errorf("%+v", p)
		}
	})
}
