package authority

import (
	"slices"
	"strings"
	"testing"
)

func TestAccess(t *testing.T) {
	for a, want := range map[Access]string{
		0: "nothing", CanRead: "read", CanWrite: "write", CanExec: "exec", CanRead | CanWrite: "read, write",
		CanRead | CanWrite | CanExec: "read, write, exec", 8: "unknown", CanExec | 128: "exec, unknown",
	} {
		if a.String() != want {
			t.Errorf("Access(%d) is %q, want %q", uint8(a), a.String(), want)
		}
	}
	for _, c := range []struct {
		a, b Access
		has  bool
	}{{0, 0, true}, {0, CanRead, false}, {CanRead | CanExec, CanExec, true}, {CanRead | CanExec, CanRead | CanWrite, false}} {
		if c.a.Has(c.b) != c.has {
			t.Errorf("{%v}.Has({%v}) is %v", c.a, c.b, !c.has)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		path, dir string
		below     bool
	}{
		{"/", "/", true}, {"/a", "/", true}, {"/", "/a", false}, {"/a", "/a", true}, {"/a/b", "/a", true}, {"/ab", "/a", false},
		{"/a-b", "/a", false}, {"/a", "/a/b", false}, {"/a/b/c", "/a/b", true}, {"/A/b", "/a", false}, {"/a\x00/b", "/a", false},
	} {
		if Below(c.path, c.dir) != c.below {
			t.Errorf("Below(%q, %q) is %v", c.path, c.dir, !c.below)
		}
	}
}

func TestInnermostGrantWins(t *testing.T) {
	g, conflicts := merge([]Grant{
		{"/a/b/c", "/a/b/c", CanRead | CanWrite, "3"}, {"/a", "/a", CanRead, "1"}, {"/a-z", "/a-z", CanExec, "2"}, {"/a/b", "/a/b", CanRead | CanExec, "4"},
	})
	if len(conflicts) != 0 {
		t.Fatal(conflicts)
	}
	for path, want := range map[string]Access{
		"/a": CanRead, "/a/x": CanRead, "/a-z/x": CanExec, "/a/b": CanRead | CanExec, "/a/bc": CanRead, "/a/b/c/d": CanRead | CanWrite,
		"/": 0, "/b": 0, "/a-": 0,
	} {
		if got := g.At(path); got != want {
			t.Errorf("At(%q) is %v, want %v", path, got, want)
		}
	}
}

func FuzzGrants(f *testing.F) {
	f.Add("/a\n/a/b\n/a-b\n/a", "/a/b/c", uint8(3))
	f.Add("/\n/x\n/x/y/z\n/x.y", "/x/y", uint8(200))
	f.Add("/usr\n/usr/local\n/usr-local\n/usr/local/bin", "/usr/local/bin/x", uint8(17))
	f.Add("", "/", uint8(0))
	f.Fuzz(func(t *testing.T, list, path string, seed uint8) {
		if !clean(path) {
			return
		}
		var in []Grant
		for at := range strings.SplitSeq(list, "\n") {
			if clean(at) && len(in) < 12 {
				n := int(seed) + len(in)
				in = append(in, Grant{Host: "/host" + string(rune('0'+n%2)), At: at, Access: 1 << (n % 3), From: at})
			}
		}
		before := slices.Clone(in)
		g, conflicts := merge(in)
		if !slices.Equal(in, before) {
			t.Fatal("merge changed what it was given")
		}
		want := map[string]Access{} // by place, of the grants with the first host path
		host := map[string]string{}
		lost := 0
		for _, x := range in {
			if h, ok := host[x.At]; ok && h != x.Host {
				lost++
				continue
			}
			host[x.At] = x.Host
			want[x.At] |= x.Access
		}
		if len(conflicts) != lost || len(g) != len(want) {
			t.Fatalf("%d grants and %d conflicts of %v", len(g), len(conflicts), in)
		}
		for _, c := range conflicts {
			if c[0].At != c[1].At || c[0].Host == c[1].Host {
				t.Errorf("no conflict: %v", c)
			}
		}
		innermost := ""
		for i, x := range g {
			if x.Access != want[x.At] || x.Host != host[x.At] {
				t.Errorf("%v, want %v of %s", x, want[x.At], host[x.At])
			}
			if i > 0 && g[i-1].At >= x.At {
				t.Errorf("%q does not come before %q", g[i-1].At, x.At)
			}
			for _, y := range g[i+1:] {
				if Below(x.At, y.At) {
					t.Errorf("%q lies in %q, which comes after it", x.At, y.At)
				}
			}
			if (x.At == "/" || strings.HasPrefix(path+"/", x.At+"/")) && len(x.At) > len(innermost) {
				innermost = x.At
			}
		}
		got, ok := g.Of(path)
		if ok != (innermost != "") || got.At != innermost || g.At(path) != want[innermost] {
			t.Errorf("the grant of %q is %v, %v; want that of %q", path, got, ok, innermost)
		}
	})
}

// clean reports whether a path is absolute and clean, as those of a parsed document are.
func clean(p string) bool {
	if p == "/" {
		return true
	}
	if p == "" || p[0] != '/' || len(p) > 4095 {
		return false
	}
	for s := range strings.SplitSeq(p[1:], "/") {
		if s == "" || s == "." || s == ".." {
			return false
		}
	}
	return true
}
