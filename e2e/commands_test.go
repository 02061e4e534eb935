package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// parsed reads one JSON value that is all of a text.
func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, text)
	}
	return v
}

func TestExplain(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		other := newBench(t, u)
		flags := []string{"--read", other.dir + ":/data", "--pids", "77", "--time", "5s", "--env", "GREETING=x", "--", "sh", "-c", ": > mark"}
		v := parsed(t, b.cellos(append([]string{"explain", "--json"}, flags...)...).ok(t))
		for _, key := range []string{"can", "cannot"} {
			list, _ := v[key].([]any)
			if len(list) < 3 {
				t.Errorf("%q has %d lines", key, len(list))
			}
			for _, x := range list {
				line, _ := x.(map[string]any)
				if layers, _ := line["layers"].([]any); len(layers) == 0 || line["text"] == "" {
					t.Errorf("a line of %q without text or layer: %v", key, x)
				}
			}
		}
		words := b.cellos(append([]string{"explain"}, flags...)...).ok(t)
		for _, want := range []string{other.dir, "/data", "77", "5s", "GREETING", "network"} {
			if !strings.Contains(words, want) {
				t.Errorf("the explanation does not say %q:\n%s", want, words)
			}
		}
		if strings.Contains(words, "hunter2") {
			t.Error("the explanation has a value of the environment")
		}
		steps := b.cellos(append([]string{"explain", "--steps"}, flags...)...).ok(t)
		for _, call := range []string{"clone3", "pivot_root", "mount_setattr", "landlock_restrict_self"} {
			if !strings.Contains(steps, call) {
				t.Errorf("the steps have no %s", call)
			}
		}
		if _, err := os.Stat(b.dir + "/mark"); err == nil || len(runsOf(t, b)) != 0 {
			t.Error("explain ran the command or left a record")
		}
	})
}

func TestValidateAndSchema(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b, _ := badBench(t, u)
		good := parsed(t, b.cellos("validate", "--json", "good.json").ok(t))
		if digest, _ := good["specDigest"].(string); good["valid"] != true || good["id"] != "a" || !strings.HasPrefix(digest, "sha256:") || len(digest) != 7+64 {
			t.Errorf("a good document: %v", good)
		}
		r := b.cellos("validate", "--json", "bad.json")
		r.fails(t, 2)
		bad := parsed(t, r.out)
		if list, _ := bad["problems"].([]any); bad["valid"] != false || len(list) != 1 || !strings.Contains(list[0].(string), "bad.json:3:") {
			t.Errorf("a wrong document: %v", bad)
		}
		if out := b.cellos("validate", "good.json").ok(t); !strings.Contains(out, "good.json: valid, sha256:") {
			t.Errorf("output %q", out)
		}
		c := b.command("validate", "-")
		c.Stdin = strings.NewReader("{}")
		b.run(c).fails(t, 2, "apiVersion")
		schema := parsed(t, b.cellos("schema").ok(t))
		if schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" || schema["properties"] == nil {
			t.Errorf("the schema begins with %v", schema["$schema"])
		}
		events := parsed(t, b.cellos("schema", "--events").ok(t))
		if defs, _ := events["$defs"].(map[string]any); defs["io.cellos.evidence.v1.usage"] == nil || defs["dev.cellos.events.cell.lifecycle.v1.started"] == nil {
			t.Errorf("the schema of events has %d definitions", len(defs))
		}
		b.cellos("schema", "--event").fails(t, 2, "unknown flag --event")
	})
}

func TestRunsAndShow(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		if list := runsOf(t, b); len(list) != 0 {
			t.Errorf("runs before the first: %v", list)
		}
		b.sh("echo content > made; exit 3", "--name", "first").fails(t, 3)
		list := runsOf(t, b)
		if len(list) != 1 || list[0].SpecID != "first" || list[0].Status != "complete" || list[0].Outcome != "failed" {
			t.Fatalf("runs: %+v", list)
		}
		id := list[0].ID
		if out := b.cellos("runs").ok(t); !strings.Contains(out, id) || !strings.Contains(out, "first") {
			t.Errorf("runs prints\n%s", out)
		}
		for _, name := range []string{"last", id, id[:len(id)-2], id[strings.LastIndexByte(id, '-')+1:]} {
			out := b.cellos("show", name).ok(t)
			for _, want := range []string{id, "status 3", "boundary   held", "made", "left over  nothing"} {
				if !strings.Contains(out, want) {
					t.Errorf("show %s does not say %q:\n%s", name, want, out)
				}
			}
		}
		page := b.cellos("show", "--html").ok(t)
		b.cellos("show", "--html", "--output", "page.html", id).ok(t)
		if text, err := os.ReadFile(b.dir + "/page.html"); err != nil || string(text) != page || !strings.HasPrefix(page, "<!DOCTYPE html>") || !strings.Contains(page, "status 3") {
			t.Errorf("the page: %v\n%s", err, page)
		}
		b.cellos("show", "--output", "x").fails(t, 2, "--output goes with --html")
		b.write("stream", b.cellos("show", "--events").ok(t), 0o600)
		if out := b.cellos("show", "./stream").ok(t); !strings.Contains(out, "status 3") || !strings.Contains(out, "verified: ") {
			t.Errorf("a file shown:\n%s", out)
		}
		other := newBench(t, u)
		other.cell(nil, "true").ok(t)
		b.write("other.pem", other.cellos("keys", "show").ok(t), 0o600)
		if out := b.cellos("show", "--key", "other.pem").ok(t); !strings.Contains(out, "NOT VERIFIED") {
			t.Errorf("another's key:\n%s", out)
		}
		if v := parsed(t, b.cellos("show", "--json", "last").ok(t)); v["id"] != id || v["outcome"] != "failed" {
			t.Errorf("show --json: %v", v)
		}
		doc := parsed(t, b.cellos("show", "--document", "last").ok(t))
		if doc["kind"] != "ExecutionCell" {
			t.Errorf("the document is %v", doc)
		}
		if out := b.cellos("show", "--plan", "last").ok(t); !strings.Contains(out, "pivot_root") {
			t.Errorf("the plan is\n%s", out)
		}
		events := b.cellos("show", "--events", "last").ok(t)
		types := ""
		for line := range strings.Lines(events) {
			types += parsed(t, line)["type"].(string) + "\n"
		}
		at := -1
		for _, want := range []string{"lifecycle.v1.started", "evidence.v1.boundary", "process_spawned", "evidence.v1.command", "evidence.v1.files", "evidence.v1.residue", "lifecycle.v1.destroyed"} {
			i := strings.Index(types, want)
			if i <= at {
				t.Errorf("%s is missing, or out of order:\n%s", want, types)
			}
			at = i
		}
		// The record's document is one that runs again.
		b.write("again.json", b.cellos("show", "--document", "last").ok(t), 0o600)
		b.cellos("run", "again.json").fails(t, 3)
		b.cellos("runs", "--clean").ok(t)
		if n := len(runsOf(t, b)); n != 2 {
			t.Errorf("%d runs after --clean, want 2", n)
		}
	})
}

func TestEventsElsewhere(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.cell([]string{"--events", "events.jsonl"}, "true").ok(t)
		got, err := os.ReadFile(b.dir + "/events.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if want := b.cellos("show", "--events", "last").ok(t); string(got) != want || len(got) == 0 {
			t.Errorf("the file has\n%s\nthe record\n%s", got, want)
		}
		out := b.cell([]string{"--events", "-"}, "true").ok(t)
		for line := range strings.Lines(out) {
			parsed(t, line)
		}
		if strings.Count(out, "\n") < 10 {
			t.Errorf("events on standard output:\n%s", out)
		}
	})
}

// TestDiff: two runs of the same differ in nothing, others in what was asked, granted and left.
func TestDiff(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.sh("exit 0").ok(t)
		b.sh("exit 0").ok(t)
		b.sh("echo x > made; exit 4", "--time", "9s").fails(t, 4)
		runs := runsOf(t, b)
		if out := b.cellos("diff", runs[2].ID, runs[1].ID).ok(t); !strings.Contains(out, "no difference") {
			t.Errorf("two runs of the same:\n%s", out)
		}
		r := b.cellos("diff", runs[1].ID, "last")
		for _, want := range []string{"succeeded, status 0", "failed, status 4", "changed file made", "+ created", "grant limit wallTime", "9.0 s"} {
			if r.code != 1 || !strings.Contains(r.out, want) {
				t.Errorf("diff (%d) does not say %q:\n%s", r.code, want, r.out)
			}
		}
		if r := b.cellos("diff", "--json", runs[1].ID, "last"); r.code != 1 || !strings.HasPrefix(r.out, "[") {
			t.Errorf("diff --json: %+v", r)
		}
		b.cellos("diff", "last").fails(t, 2, "two runs")
		b.cellos("diff", "last", "nosuch").fails(t, 2, "nosuch")
	})
}

// TestNothingNastyIsPrinted: names that a command chose do not act on the terminal of whoever looks at them.
func TestNothingNastyIsPrinted(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		const name = "evil\x1b[2J\u202egnp"
		b.cell([]string{"--name", "nasty"}, "touch", name).ok(t)
		for _, args := range [][]string{{"show"}, {"show", "--html"}, {"runs"}, {"verify"}, {"explain", "--", "touch", name}} {
			out := b.cellos(args...).ok(t)
			if strings.ContainsAny(out, "\x1b\u202e") {
				t.Errorf("%q prints it: %q", args, out)
			}
		}
		if out := b.cellos("show").ok(t); !strings.Contains(out, `evil\x1b[2J\u202egnp`) {
			t.Errorf("the name is not there:\n%s", out)
		}
		if r := b.cell(nil, "/no/"+name); strings.ContainsAny(r.err, "\x1b\u202e") {
			t.Errorf("an error prints it: %q", r.err)
		}
	})
}

func TestVersionHelpCompletion(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		if v := parsed(t, b.cellos("version", "--json").ok(t)); v["version"] == "" || v["os"] != "linux" {
			t.Errorf("version: %v", v)
		}
		if out := b.cellos("--version").ok(t); !strings.HasPrefix(out, "cellos ") || strings.Count(out, "\n") != 1 {
			t.Errorf("version: %q", out)
		}
		general := b.cellos("help").ok(t)
		for _, c := range []string{"run", "explain", "validate", "schema", "runs", "show", "supervise", "completion", "version"} {
			if !strings.Contains(general, "\n  "+c) {
				t.Errorf("help does not list %s", c)
			}
			if out := b.cellos("help", c).ok(t); !strings.HasPrefix(out, "usage: cellos "+c) {
				t.Errorf("help %s: %q", c, out)
			}
		}
		for _, c := range []string{"run", "explain", "validate", "schema", "runs", "show", "supervise", "completion", "version", "help"} {
			if out := b.cellos(c, "--help").ok(t); out != b.cellos("help", c).ok(t) {
				t.Errorf("%s --help is not help %s", c, c)
			}
		}
		r := b.cellos()
		if r.code != 2 || !strings.HasPrefix(r.err, "usage: cellos") || r.out != "" {
			t.Errorf("without arguments: exit status %d, %q", r.code, r.out)
		}
		for _, shell := range []string{"bash", "zsh", "fish"} {
			script := b.cellos("completion", shell).ok(t)
			if !strings.Contains(script, "explain") || !strings.Contains(script, "workdir") {
				t.Errorf("%s: no commands or flags in\n%s", shell, script)
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				continue // this shell is not installed
			}
			c := exec.Command(path, "-n")
			c.Stdin = strings.NewReader(script)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s does not read its script: %v\n%s", shell, err, out)
			}
		}
	})
}
