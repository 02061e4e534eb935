package plan

import (
	"slices"
	"strings"
	"testing"
)

// TestPortable: Landlock, which repeats the mounts, may be missing where that was asked for; the plan then says so, promises nothing of it and
// tries none of it. Everything else stays as it is, and what else is missing is refused.
func TestPortable(t *testing.T) {
	a := read(t, "", "")
	h := machine().at(debian, a)
	h.Landlock = 0
	if _, err := For(a, h); err == nil || !strings.Contains(err.Error(), "no Landlock") {
		t.Errorf("not asked for: %v", err)
	}
	a.Portable = true
	p, err := For(a, h)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Missing, []string{LayerLandlock}) || !strings.Contains(p.Words(), "missing on this host, and gone without: landlock\n") {
		t.Errorf("missing %q\n%s", p.Missing, p.Words())
	}
	if text := strings.ReplaceAll(string(p.Text())+p.Words(), "gone without: landlock", ""); strings.Contains(text, "landlock_") || strings.Contains(text, "landlock]") || strings.Contains(text, " landlock: ") {
		t.Errorf("the plan uses or promises Landlock:\n%s", text)
	}
	h.Landlock = 6
	whole, err := For(a, h)
	if err != nil || len(whole.Missing) > 0 || len(whole.Promises) != len(p.Promises)+1 || len(whole.Mounts) != len(p.Mounts) || len(whole.Filters) != len(p.Filters) {
		t.Errorf("with Landlock: %v, missing %q; %d promises and %d mounts, without it %d and %d", err, whole.Missing, len(whole.Promises), len(whole.Mounts), len(p.Promises), len(p.Mounts))
	}
	h.Seccomp, h.UserNS = false, "max_user_namespaces is 0"
	if _, err := For(a, h); err == nil || !strings.Contains(err.Error(), "seccomp") || !strings.Contains(err.Error(), "user namespaces") {
		t.Errorf("other layers are missing: %v", err)
	}
}
