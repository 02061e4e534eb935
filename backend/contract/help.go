//go:build linux

package contract

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/document"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
)

// An ask is a document in short.
type ask struct {
	argv   []string
	run    string // further members of spec.run: `"timeoutMs":100`
	grants string // members of spec.authority
	dir    string // working directory; "": a new one
	spec   string // further members of spec
	ttl    int    // seconds; 0: 120
}

func sh(script string) ask { return ask{argv: []string{"/bin/sh", "-c", script}} }

func (a ask) document(t testing.TB) (*document.Document, []byte) {
	t.Helper()
	argv, err := json.Marshal(a.argv)
	must(t, err)
	run := `"argv":` + string(argv)
	if a.run != "" {
		run += "," + a.run
	}
	if a.ttl == 0 {
		a.ttl = 120
	}
	ttl, err := json.Marshal(a.ttl)
	must(t, err)
	text := []byte(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"contract","run":{` + run +
		`},"authority":{` + a.grants + `},"lifetime":{"ttlSeconds":` + string(ttl) + `}` + a.spec + `}}`)
	doc, err := document.Parse("contract.json", text)
	must(t, err)
	return doc, text
}

// planned is the plan of an ask. A case that the subject refuses ends here, well or badly.
func (s Subject) planned(t testing.TB, a ask, change ...func(*authority.Authority)) (*authority.Authority, *plan.Plan) {
	t.Helper()
	doc, _ := a.document(t)
	dir := a.dir
	if dir == "" {
		dir = workdir(t)
	}
	auth, err := authority.Of(doc, authority.Place{WorkingDirectory: dir})
	must(t, err)
	for _, f := range change {
		f(auth)
	}
	h, err := host.Describe(plan.Paths(auth))
	must(t, err)
	p, err := s.Plan(auth, h)
	_, name, _ := strings.Cut(t.Name(), "/")
	words, refuses := "", false
	for k, w := range s.Refuses {
		if strings.ReplaceAll(k, " ", "_") == name { // as package testing spells it
			words, refuses = w, true
		}
	}
	switch {
	case refuses && (err == nil || !strings.Contains(err.Error(), words)):
		t.Fatalf("not refused with %q: %v", words, err)
	case refuses:
		t.SkipNow()
	}
	must(t, err)
	return auth, p
}

// A started cell is measured and released.
func (s Subject) started(t testing.TB, p *plan.Plan, std cell.Streams) cell.Cell {
	t.Helper()
	c := s.built(t, p, std)
	measured(t, c)
	must(t, c.Release(t.Context()))
	return c
}

func (s Subject) built(t testing.TB, p *plan.Plan, std cell.Streams) cell.Cell {
	t.Helper()
	c, err := s.Backend.Build(t.Context(), p, std)
	must(t, err)
	t.Cleanup(func() { c.Destroy() })
	return c
}

func measured(t testing.TB, c cell.Cell) cell.Boundary {
	t.Helper()
	b, err := c.Measure(t.Context())
	must(t, err, b.Err())
	return b
}

// out lives a whole cell and returns how it ended and what it printed, standard output and error together.
func (s Subject) out(t testing.TB, a ask, change ...func(*authority.Authority)) (cell.Outcome, string) {
	t.Helper()
	_, p := s.planned(t, a, change...)
	w, text := output(t)
	c := s.started(t, p, cell.Streams{Out: w, Err: w})
	o, err := c.Wait()
	must(t, err)
	clean(t, c)
	return o, text()
}

// prints demands an exit status of zero and exactly this output.
func (s Subject) prints(t testing.TB, a ask, want string, change ...func(*authority.Authority)) {
	t.Helper()
	if o, got := s.out(t, a, change...); o.Code != 0 || got != want {
		t.Errorf("%q: %+v, %q instead of %q", a.argv, o, brief(got), brief(want))
	}
}

func brief(s string) string {
	if len(s) > 400 {
		return s[:400] + "…"
	}
	return s
}

func clean(t testing.TB, c cell.Cell) {
	t.Helper()
	if r := c.Destroy(); !r.Clean() {
		t.Errorf("left: %+v", r)
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// workdir is a folder outside /tmp, of which cells have their own.
func workdir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(map[bool]string{true: "/var/tmp", false: ""}[os.Getuid() == 0], "cellos-contract-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir)
	must(t, err, os.Chmod(dir, 0o755))
	return dir
}

// output is a pipe and what is read from it until its end.
func output(t testing.TB) (w *os.File, text func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	got := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(r)
		r.Close()
		got <- string(b)
	}()
	return w, func() string { w.Close(); return <-got }
}

// A usage is what this process uses.
type usage struct {
	fds      int
	children string
	mounts   int
}

func used(t testing.TB) usage {
	t.Helper()
	var u usage
	d, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	u.fds = len(d)
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	for _, x := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + x.Name() + "/children")
		if err == nil { // else the thread has ended
			u.children += string(b)
		}
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	u.mounts = strings.Count(string(b), "\n")
	return u
}

// same waits until no more is used than before: what has said that it is done may still have to end. It may be less: what an earlier cell
// left to the runtime may have been closed meanwhile.
func same(t testing.TB, before usage) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		now := used(t)
		children := strings.Fields(before.children)
		if now.fds <= before.fds && now.mounts <= before.mounts && !slices.ContainsFunc(strings.Fields(now.children), func(c string) bool { return !slices.Contains(children, c) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("used: %+v, before: %+v", now, before)
		}
	}
}

// settle makes what the runtime and the packages make once.
func (s Subject) settle(t testing.TB) {
	t.Helper()
	_, p := s.planned(t, sh("exit"))
	s.settled.Do(func() {
		c := s.started(t, p, cell.Streams{})
		_, err := c.Wait()
		must(t, err)
		clean(t, c)
	})
}

// waited is Wait with a bound.
func waited(t testing.TB, c cell.Cell) cell.Outcome {
	t.Helper()
	type end struct {
		o   cell.Outcome
		err error
	}
	ended := make(chan end, 1)
	go func() { o, err := c.Wait(); ended <- end{o, err} }()
	select {
	case e := <-ended:
		must(t, e.err)
		return e.o
	case <-time.After(time.Minute):
		c.Destroy()
		t.Fatal("Wait does not return")
		return cell.Outcome{}
	}
}

// line reads up to the end of a line, or fails.
func line(t testing.TB, r *os.File) string {
	t.Helper()
	var b []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 {
			if one[0] == '\n' {
				return string(b)
			}
			b = append(b, one[0])
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("reading after %q: %v", b, err)
		}
		if err != nil {
			t.Fatalf("the end came after %q", b)
		}
	}
}
