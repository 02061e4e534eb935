package plan

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/table"
)

var update = flag.Bool("update", false, "write the golden files; read every line of the difference")

func (g golden) plan(t testing.TB) (*authority.Authority, Host, *Plan, error) {
	t.Helper()
	a := read(t, g.run, g.grants)
	if g.all != "" {
		a = readAll(t, g.all)
	}
	f := g.files
	if f == nil {
		f = debian
	}
	a.Filters = g.filters
	h := g.host.at(f, a)
	if g.name == "refused-not-yet" {
		h.OpenMax = 4096
	}
	plan := For
	if strings.Contains(g.name, "gvisor-") {
		plan = func(a *authority.Authority, h Host) (*Plan, error) { return ForGVisor(a, h, testRunsc) }
	}
	p, err := plan(a, h)
	return a, h, p, err
}

func TestGolden(t *testing.T) {
	known := map[string]bool{}
	for _, g := range goldens() {
		known[g.name+".txt"] = true
		t.Run(g.name, func(t *testing.T) {
			_, _, p, err := g.plan(t)
			got := g.heading() + g.shown(t, p, err)
			if refused := strings.HasPrefix(g.name, "refused-"); refused != (err != nil) {
				t.Errorf("refused: %v", err)
			}
			path := filepath.Join("testdata", "golden", g.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := difference(string(want), got); d != "" {
				t.Errorf("%s (go test -update, and read the difference)\n%s", path, d)
			}
		})
	}
	stored, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if !known[filepath.Base(s)] {
			t.Errorf("%s belongs to no case", s)
		}
	}
}

func (g golden) heading() string {
	h := g.host
	return fmt.Sprintf("host: %s, Linux %v, user %d:%d, Landlock %d\nrun: %s\nauthority: %s%s\n\n", h.Arch, h.Kernel, h.UID, h.GID, h.Landlock, g.run, g.grants, g.all)
}

// shown is what a golden file holds of a plan: the words, the mounts, and the steps. Those of the first case of each kind of user are
// complete; the others hold what differs from it, in order.
func (g golden) shown(t *testing.T, p *Plan, err error) string {
	t.Helper()
	var b strings.Builder
	if err != nil {
		var r Refused
		if !errors.As(err, &r) {
			t.Fatalf("no refusal: %v", err)
		}
		for _, x := range r {
			fmt.Fprintf(&b, "error: %v\n", x)
			if x.Remedy != "" {
				fmt.Fprintf(&b, "hint: %s\n", x.Remedy)
			}
		}
		return b.String()
	}
	if err := p.Table.Validate(table.Shared); err != nil {
		t.Errorf("the table: %v", err)
	}
	text := string(p.Text())
	if !strings.HasPrefix(text, p.Words()) || !strings.HasSuffix(text, p.Table.String()) {
		t.Error("Text is not the words and the table")
	}
	b.WriteString(strings.TrimSuffix(text, p.Table.String()))
	base := golden{name: "user-overlay", host: machine()}
	if g.host.Root() {
		base = golden{name: "root-overlay", host: rootful()}
	}
	if g.name == base.name {
		b.WriteString(strings.Join(steps(p), ""))
	} else {
		_, _, q, err := base.plan(t)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("  as " + base.name + ", but\n")
		b.WriteString(changed(steps(q), steps(p)))
	}
	b.WriteString("\nmounts:\n")
	for _, m := range p.Mounts {
		fmt.Fprintf(&b, "  %s %s %s\n", m.At, m.Type, m.Attr.Options())
	}
	fmt.Fprintf(&b, "\nheld: changes %d, terminal %d; candidates %q; %d probes\n", p.Held.Changes, p.Held.Terminal, p.Boot.Candidates, len(p.Boot.Probes))
	return b.String()
}

// steps prints the steps, with the long row of capabilities cut.
func steps(p *Plan) (lines []string) {
	caps := 0
	for _, s := range p.Table {
		if s.Name == "dropping a capability from the bounding set" {
			caps++
			continue
		}
		if caps > 0 {
			lines = append(lines, fmt.Sprintf("  … prctl(PR_CAPBSET_DROP, 0 to %d)\n", caps-1))
			caps = 0
		}
		lines = append(lines, "  "+s.String()+"\n")
	}
	return lines
}

// changed shows the lines that leave and that come, by the longest common subsequence.
func changed(from, to []string) string {
	common := make([][]int, len(from)+1)
	for i := range common {
		common[i] = make([]int, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	for i, j := 0, 0; i < len(from) || j < len(to); {
		switch {
		case i < len(from) && j < len(to) && from[i] == to[j]:
			i, j = i+1, j+1
		case j == len(to) || i < len(from) && common[i+1][j] >= common[i][j+1]:
			b.WriteString("- " + strings.TrimSpace(from[i]) + "\n")
			i++
		default:
			b.WriteString("+ " + strings.TrimSpace(to[j]) + "\n")
			j++
		}
	}
	return b.String()
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, a, b)
		}
	}
	return ""
}
