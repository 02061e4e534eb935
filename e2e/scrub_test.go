package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// leak is a script that prints $API in the ways in which it gets into logs by accident. What it prints is clean if it has none of spelled(value).
const leak = `
echo "raw $API"; echo "err $API" >&2
printf %s "$API" | base64; printf 'x%s' "$API" | base64; printf 'xy%s' "$API" | base64 -w 20
printf %s "$API" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; echo
printf %s "$API" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; echo
i=0; while [ $i -lt ${#API} ]; do printf %s "$API" | dd bs=1 skip=$i count=1 2>/dev/null; i=$((i+1)); done; echo .
`

// spelled are the texts that must not be anywhere.
func spelled(value string) []string {
	list := []string{value, hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))), url.QueryEscape(value)}
	for i, before := range []string{"", "x", "xy"} {
		b := base64.StdEncoding.EncodeToString([]byte(before + value))
		list = append(list, b[2*i:len(b)-4]) // without the characters that are shared at the ends
	}
	return list
}

// clean demands that no spelling of a value is in a text, lines broken or not.
func clean(t *testing.T, where, text, value string) {
	t.Helper()
	for _, s := range spelled(value) {
		if strings.Contains(text, s) || strings.Contains(strings.ReplaceAll(text, "\n", ""), s) {
			t.Errorf("%s has %q:\n%s", where, s, text)
		}
	}
}

func TestScrubbedOutput(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		const value = "correct-horse+battery/staple"
		b := secretBench(t, u, "CELLOS_BROKER=env", "CELLOS_SECRET_API="+value)
		d := secretDocument(b, "env", `["API"]`, leak, "")
		if out := b.cellos("run", d).ok(t); !strings.Contains(out, value) {
			t.Errorf("output is scrubbed although nobody asked:\n%s", out)
		}
		if events := b.cellos("show", "--events", "last").ok(t); strings.Contains(events, "outputReplaced") {
			t.Errorf("the events say that output was scrubbed:\n%s", events)
		}
		const want = 8 // places in which leak prints it
		check := func(r result, asked string) {
			t.Helper()
			out := r.ok(t)
			clean(t, "standard output", out, value)
			clean(t, "standard error", r.err, value)
			if !strings.HasPrefix(out, "raw [secret]\n") || !strings.HasSuffix(out, "\n[secret].\n") || !strings.HasPrefix(r.err, "err [secret]\n") {
				t.Errorf("standard output:\n%s\nstandard error:\n%s", out, r.err)
			}
			if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, fmt.Sprintf(`"outputReplaced":%d,`, want)) || !strings.Contains(events, `"outputScrubbedBy":"`+asked+`"`) {
				t.Errorf("the events do not say that %s had %d places scrubbed:\n%s", asked, want, events)
			}
			if s := b.cellos("show", "last").ok(t); !strings.Contains(s, fmt.Sprintf("secrets are replaced: %d times", want)) {
				t.Errorf("show says\n%s", s)
			}
		}
		check(b.cellos("run", "--scrub-output", d), "--scrub-output")
		asking := b.write("asking.json", strings.Replace(string(read(t, d)), `"run":{`, `"run":{"scrubOutput":true,`, 1), 0o644)
		check(b.cellos("run", asking), "spec.run.scrubOutput")
		if s := b.cellos("explain", asking).ok(t); !strings.Contains(s, "print the value of a secret") {
			t.Errorf("explain does not say it:\n%s", s)
		}
		b.env = append(b.env, "CELLOS_SCRUB_OUTPUT=yes")
		check(b.cellos("run", d), "CELLOS_SCRUB_OUTPUT")
		b.env = append(b.env, "CELLOS_DEPLOYMENT_PROFILE=portable", "CELL_OS_USE_NOOP_SINK=1")
		check(b.cellos("supervise", d), "CELLOS_SCRUB_OUTPUT")
		b.env = b.env[:len(b.env)-2]
		b.env[len(b.env)-1] = "CELLOS_SCRUB_OUTPUT=perhaps"
		b.cellos("run", asking).fails(t, 125, `CELLOS_SCRUB_OUTPUT: "perhaps"`)
		b.env = b.env[:len(b.env)-1]

		// A limit cuts off in the middle of a value: what it lets through has no part of it.
		limited := b.write("limited.json", strings.Replace(string(read(t, secretDocument(b, "env", `["API"]`, `while :; do printf "$API"; done`, ""))), `"run":{`, `"run":{"scrubOutput":true,"limits":{"outputBytes":100},`, 1), 0o644)
		r := b.cellos("run", limited)
		if r.out != "[secret]" || r.code < 128 || !strings.Contains(r.err, "printed more than 100 bytes") {
			t.Errorf("%d, %q, %s", r.code, r.out, r.err)
		}
		terminal := b.write("terminal.json", strings.Replace(string(read(t, asking)), `"run":{`, `"run":{"terminal":true,`, 1), 0o644)
		b.cellos("run", terminal).fails(t, 125, "spec.run.scrubOutput: taking secrets out of what is drawn on a terminal")
		b.cellos("run", "--scrub-output", "--tty", "--", "true").fails(t, 125, "--scrub-output: taking secrets out of what is drawn on a terminal")
		// What could not be found is not handed out.
		b.env[len(b.env)-1] = "CELLOS_SECRET_API=" + strings.Repeat("0123456789", 12000)
		r = b.cellos("run", asking)
		r.fails(t, 125, "secret API: the secrets are too long together to be kept out of the output")
		if r.out != "" {
			t.Errorf("it ran: %q", r.out)
		}
	})
}

// TestScrubbedLeases: a value that is not known before the command asks for it is scrubbed from then on, from its output and from the events.
func TestScrubbedLeases(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		s := newLeases(t, nil)
		b := secretBench(t, u, s.env()...)
		d := secretDocument(b, "", `["K"]`, `printf hunter-; K=$(/opt/cellos secret get K); touch "file-$K"; echo $K; /opt/cellos secret get K`, "")
		r := b.cellos("run", "--scrub-output", d)
		if got := r.ok(t); got != "hunter-[secret]\n[secret]" {
			t.Errorf("%q", got)
		}
		nowhere(t, b, r, "hunter-2", "hunter-3")
	})
}

// TestNoSecretAnywhere: a command puts its secret into everything that is recorded, and it is in no file that cellos writes, in no request that
// it sends and in no line that it prints.
func TestNoSecretAnywhere(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		const value = "correct-horse-battery-staple"
		var mu sync.Mutex
		var sent []string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			sent = append(sent, fmt.Sprint(r.URL, r.Header, string(body)))
			mu.Unlock()
			if strings.HasSuffix(r.URL.Path, "/dead") {
				w.WriteHeader(400) // final: it goes to the spool
			}
		}))
		defer s.Close()
		b := secretBench(t, u, "CELLOS_BROKER=env", "CELLOS_SECRET_API="+value)
		top := filepath.Dir(b.dir)
		mirror, spool, dead := filepath.Join(top, "mirror.jsonl"), filepath.Join(top, "spool"), filepath.Join(top, "dead")
		for _, dir := range []string{spool, dead} {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			b.own(dir)
		}
		script := `
touch "name-$API" "$(printf %s "$API" | base64)"
ln -s "$API" link
/opt/cellos secret get "$API" 2>/dev/null; CELLOS_RUNTIME_SECRET_TOKEN=$API /opt/cellos secret get API 2>/dev/null
wget -q -O - -T 2 -t 1 "http://$API.example.org/" || getent hosts "$API.example.org"
exec -a "$API" true
`
		d := secretDocument(b, "runtimeBroker", `["API"]`, "API=$(/opt/cellos secret get API)\n"+script, "")
		text := strings.Replace(string(read(t, d)), `"authority":{`, `"authority":{"egressRules":[{"host":"granted.example.org","port":80}],`, 1)
		d = b.write("d.json", strings.Replace(text, `"/bin/sh"`, `"/bin/bash"`, 1), 0o644)

		args := []string{"run", "--watch", "--events", mirror, "--sink", s.URL + "/in batch spool=" + spool, "--sink", "best-effort " + s.URL + "/dead spool=" + dead, "--sink", "best-effort otlp+" + s.URL, d}
		r := b.cellos(args...)
		events := b.cellos("show", "--events", "last").ok(t)
		if strings.Count(events, "[secret]") < 4 {
			t.Errorf("the command's secret was not where it was looked for: %d\n%s\n%s", r.code, r.err, events)
		}
		report := b.cellos("show", "last")
		clean(t, "the page", b.cellos("show", "--html", "last").ok(t), value)
		b.cellos("verify", "last").ok(t)
		clean(t, "standard error", r.err, value)
		clean(t, "show", report.out+report.err, value)
		mu.Lock()
		defer mu.Unlock()
		if len(sent) < 3 {
			t.Errorf("%d requests", len(sent))
		}
		for _, x := range sent {
			clean(t, "a request", x, value)
		}
		files := 0
		filepath.Walk(top, func(p string, i os.FileInfo, err error) error {
			clean(t, "a name", strings.TrimPrefix(p, b.dir), value)
			if err == nil && i.Mode().IsRegular() {
				clean(t, p, string(read(t, p)), value)
				files++
			}
			return nil
		})
		if len(read(t, mirror)) == 0 {
			t.Error("the mirror is empty")
		}
		if list, _ := os.ReadDir(dead); len(list) == 0 || files < 8 {
			t.Errorf("%d files, %d dead letters", files, len(list))
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
