package seccomp

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/sysabi"
)

// value is a variable in the vectors: null, text, or {"hex": "…"}.
type value struct{ Variable }

func (v *value) UnmarshalJSON(b []byte) error {
	var s *string
	if json.Unmarshal(b, &s) == nil {
		if s != nil {
			v.Variable = Variable{*s, true}
		}
		return nil
	}
	var h struct{ Hex string }
	if err := json.Unmarshal(b, &h); err != nil {
		return err
	}
	raw, err := hex.DecodeString(h.Hex)
	v.Variable = Variable{string(raw), true}
	return err
}

type vector struct {
	Seccomp, Path value
	Requested     bool
	Want, Error   string
}

func vectors(t testing.TB) []vector {
	f, err := os.Open("testdata/seccomp-env.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []vector
	for s := bufio.NewScanner(f); s.Scan(); {
		var v vector
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) != 122 {
		t.Fatalf("%d vectors, want 122", len(all))
	}
	return all
}

func TestReferenceVectors(t *testing.T) {
	all := vectors(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for i, v := range all {
		path, token := v.Path.Variable, ""
		if n := 0; strings.HasPrefix(path.Value, "@len") {
			token = path.Value
			if _, err := fmt.Sscanf(token, "@len%d", &n); err != nil {
				t.Fatal(err)
			}
			path.Value = filepath.Join(dir, token[1:])
			if err := os.WriteFile(path.Value, make([]byte, n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		reads := 0
		env := Env{v.Seccomp.Variable, path, true}
		s, err := env.Select(func(p string) ([]byte, error) {
			reads++
			return ReadFile(p)
		})
		got := "none"
		switch {
		case err != nil:
			got = "error"
		case s.Program != nil:
			got = "file"
		case s.Profile != "":
			got = s.Profile
		}
		if got != v.Want {
			t.Errorf("vector %d (%+v): %s, want %s (%v)", i+1, v, got, v.Want, err)
		}
		if r := env.Requested(); r != v.Requested {
			t.Errorf("vector %d: requested is %v", i+1, r)
		}
		if v.Want == "error" {
			text := err.Error()
			if token != "" {
				text = strings.ReplaceAll(text, path.Value, token)
			}
			// Beyond printable ASCII only the text before the quoted value is fixed.
			if want := v.Error; text != want && !(!plain(v.Seccomp.Value) && before(text) == before(want) && before(want) != want) {
				t.Errorf("vector %d: %q\nwant %q", i+1, text, want)
			}
			if strings.Contains(v.Error, "must be one of") && reads != 0 {
				t.Errorf("vector %d: the file was read before the profile was looked at", i+1)
			}
			if strings.Contains(v.Error, "No such file") && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("vector %d: not fs.ErrNotExist: %v", i+1, err)
			}
		}
	}
}

func plain(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}

func before(s string) string {
	text, _, _ := strings.Cut(s, `(got "`)
	return text
}

func TestEnvOwnProfiles(t *testing.T) {
	never := func(string) ([]byte, error) { t.Error("read"); return nil, nil }
	for _, v := range []string{"hardened", " HARDENED ", "Strict"} {
		want := strings.ToLower(strings.TrimSpace(v))
		if s, err := (Env{Profile: Variable{v, true}}).Select(never); err != nil || s.Profile != want {
			t.Errorf("%q is %q: %v", v, s.Profile, err)
		}
		_, err := Env{Profile: Variable{v, true}, Path: Variable{"x", true}}.Select(never)
		if w := "CELLOS_SUBPROCESS_SECCOMP=" + want + " cannot be combined with CELLOS_SECCOMP_BPF_PATH (x)"; err == nil || err.Error() != w {
			t.Errorf("%q with a path: %v", v, err)
		}
	}
	for _, v := range []string{"baſeline", "\u200bbaseline", "ＯＦＦ", "00", "true", "hardened+x"} {
		if _, err := (Env{Profile: Variable{v, true}}).Select(never); err == nil || !strings.Contains(err.Error(), "must be one of") {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestCornersWarn(t *testing.T) {
	file := func(string) ([]byte, error) { return Program{{Code: opRet, K: uint32(Allow)}}.Bytes(), nil }
	for _, c := range []struct {
		profile, path Variable
		want          string
	}{
		{Variable{"baseline\xff", true}, Variable{}, "not valid UTF-8"},
		{Variable{"off", true}, Variable{"p", true}, "does not turn off"},
		{Variable{}, Variable{"", true}, "is empty"},
		{Variable{"baseline", true}, Variable{"", true}, "is empty"},
		{Variable{}, Variable{"p", true}, ""},
		{Variable{"off", true}, Variable{}, ""},
	} {
		s, err := Env{Profile: c.profile, Path: c.path}.Select(file)
		if err != nil {
			t.Fatal(err)
		}
		if strict := s.Strict(); (strict != nil) != (c.want != "") || strict != nil && !strings.Contains(strict.Error(), c.want) {
			t.Errorf("%v %v: %v, want %q", c.profile, c.path, strict, c.want)
		}
	}
}

// TestPrintablePaths has the examples of the Unicode Standard, section 3.9, table 3-8 and after.
func TestPrintablePaths(t *testing.T) {
	for in, want := range map[string]string{
		"plain é":                              "plain é",
		"\xff\xff":                             "\ufffd\ufffd",
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41": "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41": "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42": "\ufffd\ufffd\ufffd\ufffd\ufffdA\ufffd\ufffdB",
		"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41": "\ufffd\ufffd\ufffd\ufffdA",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSelectionCheck(t *testing.T) {
	zeros := func(string) ([]byte, error) { return make([]byte, 8), nil }
	s, err := Env{Profile: Variable{}, Path: Variable{"f.bpf", true}}.Select(zeros)
	if err != nil {
		t.Fatal(err)
	}
	var check *CheckError
	if err := s.Check(); !errors.As(err, &check) || check.Rule != ruleEnd || !strings.HasPrefix(err.Error(), EnvPath+" f.bpf: instruction 0 (ld #0): ") {
		t.Errorf("eight zero bytes: %v", err)
	}
}

func FuzzEnv(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Seccomp.Value, v.Seccomp.Set, v.Path.Value, v.Path.Set)
	}
	f.Fuzz(func(t *testing.T, v string, set bool, p string, pset bool) {
		reads := 0
		s, err := Env{Profile: Variable{v, set}, Path: Variable{p, pset}}.Select(func(path string) ([]byte, error) {
			reads++
			if path != p || p == "" {
				t.Errorf("read %q", path)
			}
			return nil, sysabi.ENOENT
		})
		if reads > 1 || err == nil && reads == 1 {
			t.Errorf("%d reads, error %v", reads, err)
		}
		if err == nil && s.Profile != "" && !(Env{Profile: Variable{v, set}, Path: Variable{p, pset}}).Requested() {
			t.Errorf("%q was not requested", s.Profile)
		}
	})
}
