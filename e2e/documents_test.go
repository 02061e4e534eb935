package e2e

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vector is a line of document/testdata/documents.jsonl; see the README there.
type vector struct {
	ID       string
	Document json.RawMessage
	Text     *string
	Hex      string
	Pad      int
	Name     string
	Via      string
	Args     []string
	Files    map[string]json.RawMessage
	Ours     struct {
		Accepted bool
		Path     string
		Exit     int
	}
}

// later are the areas of vectors that are about gates, not about the document.
var later = []string{"adm", "pack", "authz", "token", "keyset"}

// unkept are vectors that expect the limit of 3072 bytes on an encoded argv, which is not kept.
var unkept = []string{"run-argv-unicode-over", "run-argv-quotes-over", "run-argv-control-over"}

func vectors(t *testing.T) (list []vector) {
	t.Helper()
	data, err := os.ReadFile("../document/testdata/documents.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 1<<22)
	for s.Scan() {
		var v vector
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if area, _, _ := strings.Cut(v.ID, "-"); !slices.Contains(later, area) && !slices.Contains(unkept, v.ID) {
			list = append(list, v)
		}
	}
	if len(list) < 400 {
		t.Fatalf("only %d vectors", len(list))
	}
	return list
}

// The documents of the existing supervisor, through the program under its name.
func TestDocumentVectors(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		supervisor := filepath.Join(t.TempDir(), "cellos-supervisor")
		os.Chmod(filepath.Dir(supervisor), 0o755)
		os.Chmod(filepath.Dir(filepath.Dir(supervisor)), 0o755)
		if err := os.Symlink(binary, supervisor); err != nil {
			t.Fatal(err)
		}
		for i, v := range vectors(t) {
			if u.uid != 0 && os.Getuid() == 0 && i%10 != 0 {
				continue // as root all of them ran; reading does not depend on who reads
			}
			b := newBench(t, u)
			b.env = []string{"PATH=/usr/bin:/bin", "HOME=" + b.dir, "NO_COLOR=1", "CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS=" + b.dir + "/.events.jsonl",
				"CELLOS_BROKER=env", "CELLOS_DEPLOYMENT_PROFILE=portable"}
			data := []byte(v.Document)
			switch {
			case v.Hex != "":
				data, _ = hex.DecodeString(v.Hex)
			case v.Text != nil:
				data = []byte(*v.Text)
			}
			if n := v.Pad - len(data); n > 0 {
				data = append(data, bytes.Repeat([]byte(" "), n)...)
			}
			name := v.Name
			if name == "" {
				name = "document.json"
			}
			spec := b.write(name, string(data), 0o600)
			if v.Via == "symlink" {
				link := filepath.Join(b.dir, "link.json")
				if err := os.Symlink(spec, link); err != nil {
					t.Fatal(err)
				}
				spec = link
			}
			args := []string{"--validate", spec}
			if v.Via == "stdin" {
				args[1] = "-"
			}
			if v.Args != nil {
				args = nil
				for _, a := range v.Args {
					args = append(args, strings.NewReplacer("$SPEC", spec, "$DIR", b.dir).Replace(a))
				}
			}
			cmd := b.command(args...)
			cmd.Path, cmd.Args = supervisor, append([]string{supervisor}, args...)
			if v.Via == "stdin" {
				cmd.Stdin = bytes.NewReader(data)
			}
			r := b.run(cmd)
			if (r.code == 0) != v.Ours.Accepted || !v.Ours.Accepted && v.Ours.Exit != 0 && r.code != v.Ours.Exit {
				t.Errorf("%s: exit status %d, want accepted %v, exit %d\n%s", v.ID, r.code, v.Ours.Accepted, v.Ours.Exit, r.err)
				continue
			}
			if !v.Ours.Accepted {
				for part := range strings.SplitSeq(v.Ours.Path, "#") {
					if !strings.Contains(r.err, part) {
						t.Errorf("%s: no %q in\n%s", v.ID, part, r.err)
					}
				}
			}
		}
	})
}
