package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// An expectation is what a stored run must look like.
type expectation struct {
	Exit           *int
	ExitIn         []int `json:"exit_in"`
	Stdout         *string
	StdoutHas      []string       `json:"stdout_has"`
	StdoutLacks    []string       `json:"stdout_lacks"`
	StdoutJSON     map[string]any `json:"stdout_json"`
	StderrContains []string       `json:"stderr_contains"`
	StderrLacks    []string       `json:"stderr_lacks"`
	Events         []string
	EventsHave     []string `json:"events_have"`
	Data           []struct {
		Type, At   string
		Is         any
		Has, Lacks *string
	}
	Files    map[string]json.RawMessage
	Requests []struct {
		Method, Path, Body *string
		Headers            map[string]string
		HeadersAbsent      []string `json:"headers_absent"`
	}
	Survivors          *int
	StoredEqualsEvents bool `json:"stored_equals_events"`
}

// expected joins what was measured with what is ours: ours replaces, and does not inherit wordings.
func (c runCase) expected(t *testing.T) (e expectation) {
	t.Helper()
	want := maps.Clone(c.Upstream)
	refuses := func(m map[string]json.RawMessage) bool { return string(m["exit"]) == "2" || string(m["exit"]) == "125" }
	if refuses(c.Ours) && !refuses(want) {
		want = map[string]json.RawMessage{"stdout": json.RawMessage(`""`), "survivors": json.RawMessage("0")}
	}
	for k := range want {
		if strings.HasPrefix(k, "stderr") || k == "exit" && c.Ours["exit_in"] != nil {
			delete(want, k)
		}
		for own := range c.Ours {
			if strings.HasPrefix(k, "stdout") && strings.HasPrefix(own, "stdout") {
				delete(want, k)
			}
		}
	}
	maps.Copy(want, c.Ours)
	text, err := json.Marshal(want)
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (c runCase) check(t *testing.T, d *dropin, r result, web *steps, token string) {
	t.Helper()
	e := c.expected(t)
	need := func(ok bool, format string, args ...any) {
		t.Helper()
		if !ok {
			t.Errorf(format+"\n%s", append(args, r.err)...)
		}
	}
	need(e.Exit == nil || r.code == *e.Exit, "exit status %d", r.code)
	need(e.ExitIn == nil || slices.Contains(e.ExitIn, r.code), "exit status %d, want one of %v", r.code, e.ExitIn)
	need(e.Stdout == nil || r.out == *e.Stdout, "standard output %q", r.out)
	for _, x := range []struct {
		text string
		list []string
		has  bool
	}{{r.out, e.StdoutHas, true}, {r.out, e.StdoutLacks, false}, {r.err, e.StderrContains, true}, {r.err, e.StderrLacks, false}} {
		for _, s := range x.list {
			need(strings.Contains(x.text, s) == x.has, "%q in %q: want %v", s, x.text, x.has)
		}
	}
	for path, want := range e.StdoutJSON {
		var v any
		if err := json.Unmarshal([]byte(r.out), &v); err != nil {
			t.Errorf("standard output: %v", err)
		}
		need(reflect.DeepEqual(at(v, path), want), "standard output has %v at %s, want %v", at(v, path), path, want)
	}
	c.events(t, d, e, need)
	for name, want := range e.Files {
		checkFile(t, filepath.Join(d.dir, name), want)
	}
	web.check(e, need)
	if e.Survivors != nil {
		need(waitFor(func() bool { return survivors(token) == *e.Survivors }), "%d processes survive, want %d", survivors(token), *e.Survivors)
	}
}

// events checks the mirror.
func (c runCase) events(t *testing.T, d *dropin, e expectation, need func(bool, string, ...any)) {
	t.Helper()
	var have []string
	last := map[string]any{}
	var text []byte
	mirror := c.Env["CELL_OS_JSONL_EVENTS"]
	if info, err := os.Stat(mirror); err == nil && info.Mode().IsRegular() { // and not /dev/full, which has no end
		if text, err = os.ReadFile(mirror); err != nil {
			t.Fatal(err)
		}
	}
	if e.StoredEqualsEvents {
		c.stored.holds(t, text)
	}
	for line := range strings.Lines(string(text)) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("the mirror has the line %q: %v", line, err)
		}
		name := strings.TrimPrefix(fmt.Sprint(event["type"]), "dev.cellos.events.")
		have = append(have, name)
		last[name] = event
	}
	rest := have
	for _, want := range e.Events {
		i := slices.Index(rest, want)
		need(i >= 0, "events %v, want in this order %v", have, e.Events)
		rest = rest[i+1:]
	}
	for _, want := range e.EventsHave {
		need(slices.Contains(have, want), "no event %s in %v", want, have)
	}
	for _, x := range e.Data {
		v := at(last[x.Type], "data."+x.At)
		need(x.Is == nil || reflect.DeepEqual(v, x.Is), "%s.%s is %v, want %v", x.Type, x.At, v, x.Is)
		need(x.Has == nil || v != nil && strings.Contains(fmt.Sprint(v), *x.Has), "%s.%s is %v, want it to have %v", x.Type, x.At, v, x.Has)
		need(x.Lacks == nil || !strings.Contains(fmt.Sprint(v), *x.Lacks), "%s.%s is %v", x.Type, x.At, v)
	}
}

// at finds a value in a tree of JSON; nil if there is none.
func at(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func checkFile(t *testing.T, path string, want json.RawMessage) {
	t.Helper()
	if string(want) == "null" {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s exists", path)
		}
		return
	}
	var text string
	if json.Unmarshal(want, &text) == nil {
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s holds %q, %v; want %q", path, got, err, text)
		}
		return
	}
	var f struct {
		Has, Mode *string
		Entries   *int
		AnyHas    []string `json:"any_has"`
		NoneHas   []string `json:"none_has"`
	}
	if err := json.Unmarshal(want, &f); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if f.Mode != nil && fmt.Sprintf("%04o", info.Mode().Perm()) != *f.Mode {
		t.Errorf("%s has mode %04o, want %s", path, info.Mode().Perm(), *f.Mode)
	}
	if got, err := os.ReadFile(path); f.Has != nil && (err != nil || !strings.Contains(string(got), *f.Has)) {
		t.Errorf("%s holds %q, %v; want %q in it", path, got, err, *f.Has)
	}
	if !info.IsDir() {
		return
	}
	list, err := os.ReadDir(path)
	if err != nil || f.Entries != nil && len(list) != *f.Entries {
		t.Errorf("%s has %d entries, %v", path, len(list), err)
	}
	var all strings.Builder
	for _, x := range list {
		got, _ := os.ReadFile(filepath.Join(path, x.Name()))
		all.Write(got)
	}
	for _, s := range f.AnyHas {
		if !strings.Contains(all.String(), s) {
			t.Errorf("no file in %s has %q", path, s)
		}
	}
	for _, s := range f.NoneHas {
		if strings.Contains(all.String(), s) {
			t.Errorf("a file in %s has %q", path, s)
		}
	}
}

// An httpStep is one scripted answer; the last one repeats.
type httpStep struct {
	Status int
	Body   string
}

// steps is a server on the loopback interface that answers as scripted and remembers what it was asked.
type steps struct {
	address string
	mu      sync.Mutex
	seen    []*http.Request
	bodies  []string
}

func serveSteps(t *testing.T, script []httpStep) *steps {
	s := &steps{}
	if script == nil {
		return s
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		step := script[min(len(s.seen), len(script)-1)]
		s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
		s.mu.Unlock()
		w.WriteHeader(cmp.Or(step.Status, http.StatusOK))
		io.WriteString(w, step.Body)
	}))
	t.Cleanup(server.Close)
	s.address = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *steps) check(e expectation, need func(bool, string, ...any)) {
	if e.Requests == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	need(len(s.seen) == len(e.Requests), "%d requests, want %d", len(s.seen), len(e.Requests))
	for i, want := range e.Requests[:min(len(s.seen), len(e.Requests))] {
		got := s.seen[i]
		need(want.Method == nil || got.Method == *want.Method, "request %d is %s", i, got.Method)
		need(want.Path == nil || got.RequestURI == *want.Path, "request %d asks for %s", i, got.RequestURI)
		need(want.Body == nil || s.bodies[i] == *want.Body, "request %d has the body %q", i, s.bodies[i])
		for k, v := range want.Headers {
			need(got.Header.Get(k) == v, "request %d has the header %s: %q", i, k, got.Header.Get(k))
		}
		for _, k := range want.HeadersAbsent {
			need(got.Header.Values(k) == nil, "request %d has the header %s", i, k)
		}
	}
}
