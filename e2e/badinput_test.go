package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A bad is one mistake of a caller. $DIR is the working directory, $OUT a folder for --write; the word CELL becomes a command that
// leaves a mark in $OUT, so that a cell that started nevertheless is seen.
type bad struct {
	name string
	args string // words
	more []string
	code int
	text string // in the error line
}

var long = strings.Repeat("/aaaaaaaaa", 500)

// badCalls are mistakes of the command line: nothing may start.
var badCalls = []bad{
	{"unknown command", "bogus", nil, 2, `unknown command "bogus"`},
	{"unknown flag", "run --bogus CELL", nil, 2, "unknown flag --bogus"},
	{"flag without value", "run --time CELL", nil, 2, "--time"},
	{"no command", "run --", nil, 2, "command or a document is missing"},
	{"nothing", "run", nil, 2, "command or a document is missing"},
	{"empty command", "run --", []string{""}, 2, "command is empty"},
	{"two documents", "run --file $DIR/good.json $DIR/good.json", nil, 2, "two documents"},
	{"two arguments", "run $DIR/good.json $DIR/good.json", nil, 2, "unexpected argument"},
	{"document and command", "run --file $DIR/good.json CELL", nil, 2, "a document and a command"},
	{"document before a command", "run $DIR/good.json CELL", nil, 2, "unexpected argument"},
	{"grants and a document", "run --pids 5 $DIR/good.json", nil, 2, "not with a document"},
	{"time", "run --time soon CELL", nil, 2, `--time "soon"`},
	{"negative time", "run --time -1s CELL", nil, 2, `--time "-1s"`},
	{"no time", "run --time 0 CELL", nil, 2, `--time "0"`},
	{"pids", "run --pids many CELL", nil, 2, `--pids "many"`},
	{"pids 0", "run --pids 0 CELL", nil, 2, `--pids "0"`},
	{"too few files", "run --nofile 1 CELL", nil, 2, "--nofile"},
	{"file size", "run --file-size -1 CELL", nil, 2, `--file-size "-1"`},
	{"scratch", "run --scratch 1 CELL", nil, 2, "--scratch"},
	{"scratch over", "run --scratch 99999999TiB CELL", nil, 2, "--scratch"},
	{"output 0", "run --output 0 CELL", nil, 2, `--output "0"`},
	{"cpus", "run --cpus 0 CELL", nil, 2, `--cpus "0"`},
	{"user by name", "run --user root CELL", nil, 2, `--user "root"`},
	{"user over", "run --user 70000 CELL", nil, 2, `--user "70000"`},
	{"net", "run --net a..b CELL", nil, 2, "--net a..b"},
	{"hostname", "run --hostname a_b! CELL", nil, 2, "--hostname"},
	{"name", "run --name a/b CELL", nil, 2, "--name"},
	{"profile", "run --seccomp bogus CELL", nil, 2, `--seccomp "bogus": neither a profile nor a file`},
	{"backend", "run --backend bogus CELL", nil, 2, "--backend \"bogus\""},
	{"tty", "run --tty=maybe CELL", nil, 2, "--tty takes no value"},
	{"events to nothing", "run --events= CELL", nil, 2, "--events"},
	{"env without name", "run --env =x CELL", nil, 2, `--env "=x"`},
	{"env empty", "run --env= CELL", nil, 2, `--env ""`},
	{"env unset", "run --env CELLOS_NO_SUCH CELL", nil, 2, "--env CELLOS_NO_SUCH"},
	{"dots", "run --read $DIR/sub/../sub CELL", nil, 2, "contains .."},
	{"relative dots", "run --write ../x CELL", nil, 2, "contains .."},
	{"dots in workdir", "run --workdir $DIR/.. CELL", nil, 2, "contains .."},
	{"empty path", "run --read= CELL", nil, 2, "write PATH or PATH:DEST"},
	{"empty place", "run --read $DIR/sub: CELL", nil, 2, "write PATH or PATH:DEST"},
	{"relative place", "run --read $DIR/sub:x CELL", nil, 2, "DEST must be absolute"},
	{"everything", "run --read / CELL", nil, 2, "over-broad"},
	{"in place of everything", "run --read $DIR/sub:/ CELL", nil, 2, "over-broad"},
	{"proc", "run --read /proc CELL", nil, 2, "its own /proc"},
	{"sys", "run --read /sys CELL", nil, 2, "its own /sys"},
	{"dev", "run --write /dev CELL", nil, 2, "its own /dev"},
	{"a device", "run --write /dev/kmsg CELL", nil, 2, "its own /dev"},
	{"over proc", "run --read $DIR/sub:/proc/sys CELL", nil, 2, "its own /proc"},
	{"one place twice", "run --read $DIR/sub:/x --read $DIR/file:/x CELL", nil, 2, `shown at "/x" already`},
	{"one path twice", "run --read $DIR/sub --read $DIR/sub CELL", nil, 2, "already"},
	{"path over PATH_MAX", "run --read " + long + " CELL", nil, 2, "/aaaaaaaaa"},
	{"workdir over PATH_MAX", "run --workdir " + long + " CELL", nil, 2, "workdir"},
	{"name over NAME_MAX", "run --read /" + strings.Repeat("a", 300) + " CELL", nil, 2, "aaaa"},
	{"workdir mode", "run --workdir $DIR:rw CELL", nil, 2, `"rw" is no mode`},
	{"missing path", "run --read /no/such/path CELL", nil, 125, "/no/such/path does not exist"},
	{"missing workdir", "run --workdir /no/such/dir CELL", nil, 125, "/no/such/dir does not exist"},
	{"workdir is a file", "run --workdir $DIR/file CELL", nil, 125, "is no folder"},
	{"workdir is a link", "run --workdir $DIR/link CELL", nil, 125, "symbolic link"},
	{"workdir is the root", "run --workdir / CELL", nil, 125, "working directory /"},
	{"workdir is proc", "run --workdir /proc CELL", nil, 125, "working directory /proc"},
	{"a link", "run --read $DIR/link CELL", nil, 125, "leads through a symbolic link"},
	{"behind a link", "run --read $DIR/link/inner CELL", nil, 125, "leads through a symbolic link"},
	{"dangling link", "run --read $DIR/dangling CELL", nil, 125, "dangling"},
	{"a pipe", "run --read $DIR/pipe CELL", nil, 125, "pipe"},
	{"the working directory", "run --write $DIR CELL", nil, 125, "is the working directory"},
	{"one grant inside another", "run --read $DIR/file:/x --read $DIR/file:/x/y CELL", nil, 125, "/x/y lies in /x"},
	{"too little memory", "run --memory 4KiB CELL", nil, 125, "--memory: 4096 bytes are less than a cell needs"},
	{"events in no folder", "run --events /no/such/file CELL", nil, 125, "/no/such/file"},
	{"events to a folder", "run --events $DIR CELL", nil, 125, "is a directory"},
	{"too long an argument", "run CELL", []string{"huge"}, 125, "argument list too long"},
	{"missing document", "run $DIR/nothing.json", nil, 2, "nothing.json"},
	{"a folder as document", "run $DIR/sub", nil, 2, "is a directory"},
	{"JSON", "run $DIR/bad.json", nil, 2, "bad.json:3:"},
	{"YAML", "run $DIR/bad.yaml", nil, 2, "bad.yaml:5"},
	{"not a document", "validate $DIR/file", nil, 2, "file:1"},
	{"field that no host can enforce", "run $DIR/later.json", nil, 125, "spec.run.limits.memoryMaxBytes"},
	{"no such run", "show nothing", nil, 1, "nothing"},
	{"shell", "completion tcsh", nil, 2, "bash, zsh, fish"},
	{"help for nothing", "help bogus", nil, 2, `unknown command "bogus"`},
}

// badBench is a bench with the objects of the tables.
func badBench(t *testing.T, u user) (b *bench, out string) {
	b = newBench(t, u)
	b.write("sub/inner", "x", 0o644)
	b.write("file", "data\n", 0o644)
	b.write("bad.json", "{\"apiVersion\": \"cellos.io/v1\",\n \"kind\": \"ExecutionCell\",\n \"spec\": {\"id\": \"a\",, }\n}\n", 0o644)
	b.write("bad.yaml", "apiVersion: cellos.io/v1\nkind: ExecutionCell\nspec:\n  id: a\n   x: [\n", 0o644)
	doc := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"a","authority":{},"lifetime":{"ttlSeconds":60},"run":{"argv":["true"],"secretDelivery":"env"%s}}}`
	b.write("good.json", fmt.Sprintf(doc, ""), 0o644)
	b.write("later.json", fmt.Sprintf(doc, `,"limits":{"memoryMaxBytes":4096}`), 0o644)
	for name, to := range map[string]string{"link": "sub", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(b.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := exec.Command("mkfifo", filepath.Join(b.dir, "pipe")).Run(); err != nil {
		t.Fatal(err)
	}
	return b, newBench(t, u).dir
}

func TestBadCalls(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b, out := badBench(t, u)
		mark := filepath.Join(out, "mark")
		for _, c := range badCalls {
			t.Run(c.name, func(t *testing.T) {
				var args []string
				for a := range strings.FieldsSeq(strings.NewReplacer("$DIR", b.dir, "$OUT", out).Replace(c.args)) {
					if a == "CELL" {
						args = append(args, "--write", out, "--", "sh", "-c", ": > "+mark)
						continue
					}
					args = append(args, a)
				}
				if len(c.more) > 0 && c.more[0] == "huge" {
					// The kernel takes 128 KiB for one string; cellos itself gets these through a file.
					b.write("huge.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"a","authority":{"filesystem":{"write":[{"path":"`+out+
						`"}]}},"lifetime":{"ttlSeconds":60},"run":{"argv":["sh","-c",": > `+mark+`","`+strings.Repeat("a", 200<<10)+`"],"secretDelivery":"env"}}}`, 0o644)
					args = []string{"run", filepath.Join(b.dir, "huge.json")}
				} else {
					args = append(args, c.more...)
				}
				r := b.cellos(args...)
				r.fails(t, c.code, c.text)
				oneError(t, r)
				if _, err := os.Lstat(mark); err == nil {
					t.Error("the command ran")
					os.Remove(mark)
				}
			})
		}
		closed(t, b)
	})
}

// oneError demands exactly one error line, and nothing that is no message.
func oneError(t *testing.T, r result) {
	t.Helper()
	errors := 0
	for line := range strings.Lines(r.err) {
		switch {
		case strings.HasPrefix(line, "cellos: error: "):
			errors++
		case !strings.HasPrefix(line, "cellos: hint: ") && !strings.HasPrefix(line, "cellos: note: "):
			t.Errorf("a line that is no message: %s", line)
		}
	}
	if errors != 1 {
		t.Errorf("%d error lines:\n%s", errors, r.err)
	}
}

// A runLine is what the tests read of an element of cellos runs --json.
type runLine struct {
	ID, Path, Status, SpecID, Outcome, Reason string
	Run                                       string `json:"cellosrun"`
}

func runsOf(t *testing.T, b *bench) (list []runLine) {
	t.Helper()
	out := b.cellos("runs", "--json").ok(t)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("cellos runs --json: %v\n%s", err, out)
	}
	return list
}

// closed demands that every run of a bench is closed, and that none is said to have succeeded.
func closed(t *testing.T, b *bench) {
	t.Helper()
	for _, r := range runsOf(t, b) {
		if r.Status != "complete" || r.Outcome != "failed" {
			t.Errorf("the record of a refused run is %s, %s: %s", r.Status, r.Outcome, r.Path)
		}
	}
}

// TestAllProblemsAtOnce: a document's problems are reported in one go, each with its line and path.
func TestAllProblemsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("d.yaml", `apiVersion: cellos.io/v1
kind: ExecutionCell
spec:
  id: a
  authority:
    filesystem:
      read: [{path: ../x}]
  lifetime: {ttlSeconds: 60}
  run:
    argv: [true]
    secretDelivery: env
    environment: {"A=B": x}
    seccomp: {profile: zz}
    nope: 1
`, 0o644)
		r := b.cellos("run", "d.yaml")
		r.fails(t, 2, "d.yaml:7:", "spec.authority.filesystem.read[0].path", "d.yaml:12:", `spec.run.environment["A=B"]`, "d.yaml:13:", "spec.run.seccomp.profile",
			"d.yaml:14:", "spec.run.nope", "spec.run.argv[0]")
		if list := runsOf(t, b); len(list) != 0 {
			t.Errorf("a wrong document has %d records", len(list))
		}
	})
}
