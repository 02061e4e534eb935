package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// documented is a document for cellos-supervisor that runs a shell script.
func (b *bench) documented(script string) string {
	b.t.Helper()
	text, err := json.Marshal(script)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"cell-1","correlation":{"platform":"p","externalRunId":null,"externalJobId":null,"labels":null,"tenantId":"acme"},`+
		`"authority":{},"lifetime":{"ttlSeconds":60},"run":{"secretDelivery":"env","argv":["/bin/sh","-c",`+string(text)+`]}}}`, 0o644)
}

// portable is the environment of the drop-in tests.
func (b *bench) portable(more ...string) *bench {
	b.env = append(b.env, append([]string{"CELLOS_DEPLOYMENT_PROFILE=portable"}, more...)...)
	return b
}

// records returns the lines of each record by the run's unique identity.
func (b *bench) records() map[string][]string {
	b.t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.state, "runs", "*", "events.jsonl"))
	if err != nil {
		b.t.Fatal(err)
	}
	m := map[string][]string{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			b.t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		m[member(b.t, lines[0], "cellosrun")] = lines
	}
	return m
}

// record returns the lines of the only record.
func (b *bench) record() []string {
	b.t.Helper()
	all := b.records()
	if len(all) != 1 {
		b.t.Fatalf("%d records", len(all))
	}
	for _, lines := range all {
		return lines
	}
	return nil
}

func member(t *testing.T, line, name string) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	s, _ := e[name].(string)
	return s
}

// TestMirrorOfManyCells: 64 cells at once write one mirror file, in which every event of every cell is, whole and in its order.
func TestMirrorOfManyCells(t *testing.T) {
	const cells = 64
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		mirror := filepath.Join(b.dir, "mirror.jsonl")
		b.portable("CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS="+mirror)
		doc := b.documented("exit 0")
		b.cellos("supervise", doc).ok(t) // the key is made
		var g sync.WaitGroup
		for range cells - 1 {
			g.Go(func() {
				if r := b.run(b.command("supervise", doc)); r.code != 0 {
					t.Errorf("exit status %d: %s", r.code, r.err)
				}
			})
		}
		g.Wait()
		text, err := os.ReadFile(mirror)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			run := member(t, line, "cellosrun")
			got[run] = append(got[run], line)
		}
		want := b.records()
		if len(want) != cells || len(got) != cells {
			t.Fatalf("%d records, and %d runs in the mirror", len(want), len(got))
		}
		for run, lines := range want {
			if !slices.Equal(got[run], lines) {
				t.Errorf("run %s has %d events in the mirror, and %d in its record", run, len(got[run]), len(lines))
			}
		}
	})
}

// collect is a server for events; it answers with status as long as that is not 0.
func collect(t *testing.T, status func() int) (url string, got func() []string) {
	var mu sync.Mutex
	var lines []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if code := status(); code != 0 {
			w.WriteHeader(code)
			return
		}
		lines = append(lines, string(body))
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}

func always(status int) func() int { return func() int { return status } }

// TestTwoSinks: several sinks get every event each. One that is dead refuses the run, unless it is declared to be best effort.
func TestTwoSinks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	l.Close()
	each(t, func(t *testing.T, u user) {
		url, got := collect(t, always(0))
		b := newBench(t, u)
		file := filepath.Join(b.dir, "mirror.jsonl")
		flags := []string{"--sink", url + "/in", "--sink", "file:" + file}
		b.sh("echo ran", append(flags, "--sink", "best-effort "+dead+" patience=0s")...).ok(t)
		want := b.record()
		if !slices.Equal(got(), want) {
			t.Errorf("the server got %d of %d events", len(got()), len(want))
		}
		if text, _ := os.ReadFile(file); string(text) != strings.Join(want, "\n")+"\n" {
			t.Errorf("the file has %d bytes", len(text))
		}
		r := b.sh("echo ran", append(flags, "--sink", dead+" patience=0s")...)
		r.fails(t, 125, "sink "+dead+" emit: ", "connection refused")
		if r.out != "" {
			t.Error("it ran")
		}
		for run, lines := range b.records() {
			if last := member(t, lines[len(lines)-1], "type"); !strings.HasSuffix(last, ".destroyed") {
				t.Errorf("run %s ends with %s", run, last)
			}
		}
	})
}

// TestSpoolAndResend: what a server does not take lies in the folder, is sent again in order, and is marked.
func TestSpoolAndResend(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		var mu sync.Mutex
		code := 503
		url, got := collect(t, func() int { mu.Lock(); defer mu.Unlock(); return code })
		spool := filepath.Join(b.dir, "spool")
		if err := os.Mkdir(spool, 0o700); err != nil {
			t.Fatal(err)
		}
		b.own(spool)
		b.sh("echo ran", "--sink", url+" patience=0s spool="+spool).ok(t)
		want := b.record()
		if list := b.cellos("events", "list", spool).ok(t); strings.Count(list, "\n") != len(want) || strings.Count(list, "status 503") != len(want) {
			t.Errorf("listed for %d events:\n%s", len(want), list)
		}
		b.cellos("events", "resend", "--to", url+" patience=0s", spool).fails(t, 1, "status 503")
		mu.Lock()
		code = 0
		mu.Unlock()
		if out := b.cellos("events", "resend", "--to", url, spool).ok(t); out != fmt.Sprintf("delivered %d of %d events\n", len(want), len(want)) {
			t.Errorf("%q", out)
		}
		if !slices.Equal(got(), want) {
			t.Errorf("the server got %d of %d events", len(got()), len(want))
		}
		if out := b.cellos("events", "resend", "--to", url, spool).ok(t); out != "delivered 0 of 0 events\n" {
			t.Errorf("%q", out)
		}
		if marked, _ := filepath.Glob(filepath.Join(spool, "*.jsonl.delivered")); len(marked) != len(want) {
			t.Errorf("%d letters are marked", len(marked))
		}
	})
}

// TestDocumentedSigning: with it every line is a signed transport event, and our own chain over them holds.
func TestDocumentedSigning(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		mirror := filepath.Join(b.dir, "mirror.jsonl")
		b.portable("CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS="+mirror, "CELLOS_EVENT_SIGNING=ed25519", "CELLOS_EVENT_SIGNING_KID=k1",
			"CELLOS_EVENT_SIGNING_KEY_BASE64=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
		b.cellos("supervise", b.documented("exit 0")).ok(t)
		for _, line := range b.record() {
			if !strings.HasSuffix(member(t, line, "type"), ".signed_envelope.v1") {
				t.Errorf("not signed: %s", line)
			}
		}
		b.cellos("verify", "last").ok(t)
		b.cellos("verify", mirror).ok(t)
	})
}

// TestSinkMistakes: what cannot be used is said before anything runs, all of it, and without what is secret in it.
func TestSinkMistakes(t *testing.T) {
	b := newBench(t, users()[len(users())-1])
	token := b.write("../token", "t\n", 0o644) // beside the working directory, in which the command would see it
	for _, c := range []struct{ sink, says string }{
		{"ftp://x", "must begin with"}, {"http://x colour=red", "there is no option"}, {"", "names no destination"}, {"best-effort", "names no destination"},
		{"http://x batch=1", "batch without"}, {"http://x spool", "=VALUE"}, {"http://x patience=long", "no time"}, {"stdout batch", "it takes none"},
		{"http://x spool=/a spool=/b", "twice"},
	} {
		b.sh("echo ran", "--sink", c.sink).fails(t, 2, c.says)
	}
	for _, c := range []struct{ sink, says string }{
		{"http://u:pw-sentinel@[::1", "no URL of a server"}, {"http://x token-file=" + token, "others may read it"}, {"http://x spool=/does/not/exist", "no such file"},
		{"https://x ca=" + token, "no certificate"}, {"nats://127.0.0.1 subject=a..b", "wildcard"}, {"file:/does/not/exist/x", "no such file"}, {"http://x ca=/dev/zero", "no regular file"},
	} {
		r := b.sh("echo ran", "--sink", c.sink)
		r.fails(t, 125, c.says)
		if strings.Contains(r.err, "pw-sentinel") || r.out != "" {
			t.Errorf("%q, %q", r.out, r.err)
		}
	}
	b.sh("echo ran", "--on-evidence-loss", "drop").fails(t, 2, "neither kill nor block")
	b.portable("CELL_OS_USE_NOOP_SINK=1", "CELL_OS_REQUIRE_JETSTREAM=", "CELL_OS_JSONL_EVENTS=", "CELLOS_DLQ_DIR=/does/not/exist", "CELLOS_EVENT_SIGNING=ed25519",
		"CELLOS_EVENT_SIGNING_KID=k", "CELLOS_EVENT_SIGNING_KEY_BASE64=cHctc2VudGluZWw", "CELLOS_ON_EVIDENCE_LOSS=drop")
	r := b.cellos("supervise", b.documented("echo ran"))
	r.fails(t, 125, "CELLOS_ON_EVIDENCE_LOSS")
	b.env = b.env[:len(b.env)-1]
	r = b.cellos("supervise", b.documented("echo ran"))
	r.fails(t, 125, "contradict", "CELL_OS_JSONL_EVENTS", "CELLOS_DLQ_DIR", "an Ed25519 seed has 32")
	if r.out != "" || strings.Contains(r.err, "cHctc2VudGluZWw") || strings.Contains(r.err, "pw-sentinel") {
		t.Errorf("%q, %q", r.out, r.err)
	}
}

// TestSecretsAreScrubbed: a secret in an argument, as it is or encoded, is in no event and in no sink.
func TestSecretsAreScrubbed(t *testing.T) {
	const value = "s3cr3t-s3ntinel"
	b := newBench(t, users()[len(users())-1])
	mirror := filepath.Join(b.dir, "mirror.jsonl")
	b.portable("CELL_OS_USE_NOOP_SINK=1", "CELL_OS_JSONL_EVENTS="+mirror, "CELLOS_BROKER=env", "CELLOS_SECRET_K="+value)
	doc := b.write("spec.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"cell-1","authority":{"secretRefs":["K"]},"lifetime":{"ttlSeconds":60},`+
		`"run":{"secretDelivery":"env","argv":["/bin/sh","-c","test \"$K\" = `+value+` # eDpzM2NyM3QtczNudGluZWw6eQ"]}}}`, 0o644)
	b.cellos("supervise", doc).ok(t)
	text, err := os.ReadFile(mirror)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(b.record(), "\n") + string(text)
	if strings.Contains(all, value) || strings.Contains(all, "M2NyM3QtczNudGluZW") || !strings.Contains(all, "[secret]") {
		t.Errorf("the events say\n%s", all)
	}
	b.cellos("verify", "last").ok(t)
}
