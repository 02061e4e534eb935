// Package e2e drives the built program as its users do: as root and as an ordinary user, with real namespaces, filters and mounts.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence/eventtest"
)

// nobody is the ordinary user of these tests; it owns nothing.
const nobody = 65534

// binary is the program under test, built once. With CELLOS_TEST_RACE=1 it has the race detector, and races is where it writes what that
// found.
var binary, races string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	// Not t.TempDir: ordinary users must reach the program too.
	dir, err := os.MkdirTemp("", "cellos-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	os.Chmod(dir, 0o755)
	binary = filepath.Join(dir, "cellos")
	args, cgo := []string{"build", "-o", dir}, "CGO_ENABLED=0"
	if os.Getenv("CELLOS_TEST_RACE") != "" {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "cellos.io/cellos/cmd/cellos", "cellos.io/cellos/cmd/cellos-gate", "cellos.io/cellos/cmd/cellos-s3", "cellos.io/cellos/cmd/cellos-image")...)
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building cellos: %v\n%s", err, out)
		return 1
	}
	races = filepath.Join(dir, "races")
	if err := errors.Join(os.Mkdir(races, 0o755), os.Chmod(races, 0o1777)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Most of the time a test waits: for a machine to boot, for a limit to end it. What runs in parallel are one test's users and backends, four.
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue && runtime.GOMAXPROCS(0) < 4 {
		n.Value.Set("4")
	}
	code := m.Run()
	reports, _ := filepath.Glob(filepath.Join(races, "*"))
	for _, r := range reports {
		text, _ := os.ReadFile(r)
		fmt.Fprintf(os.Stderr, "the program has a data race:\n%s", text)
		code = 1
	}
	return code
}

// A user is who starts cellos in a test.
type user struct {
	name    string
	uid     int
	backend string // "": process
}

// users returns everybody that this test can be: root tests as root and as nobody, others as themselves.
func users() []user {
	if uid := os.Getuid(); uid != 0 {
		return []user{{name: "user", uid: uid}}
	}
	return []user{{name: "root"}, {name: "nobody", uid: nobody}}
}

// each runs a test once for each user.
func each(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			t.Parallel()
			f(t, u)
		})
	}
}

// A bench is a place to start cells from: a working directory and a state directory of one user.
type bench struct {
	t     *testing.T
	user  user
	dir   string   // the working directory; empty at first
	state string   // CELLOS_STATE
	env   []string // of cellos itself

	redacts   bool // the events of its runs are redacted, so that objects may be empty
	closedTUN bool // the host's /dev/net/tun is closed to the user: show another one, as most hosts have it
}

// newBench makes the directories. Its working directory lies in /var/tmp, not in /tmp, because a cell has a /tmp of its own.
func newBench(t *testing.T, u user) *bench {
	t.Helper()
	top, err := os.MkdirTemp("/var/tmp", "cellos-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, user: u, dir: filepath.Join(top, "work"), state: filepath.Join(top, "state")}
	t.Cleanup(func() {
		records, _ := filepath.Glob(filepath.Join(top, "state", "runs", "*", "events.jsonl"))
		for _, path := range records {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			var whole []byte // a redacted value is what no schema says of it
			for line := range bytes.Lines(text) {
				if !bytes.Contains(line, []byte(`"[redacted]"`)) && !(b.redacts && bytes.Contains(line, []byte(`":{}`))) {
					whole = append(whole, line...)
				}
			}
			for _, problem := range eventtest.Valid(whole) {
				t.Errorf("an event is not what its schema says: %s", problem)
			}
		}
		// A workload may have left folders that cannot be entered.
		filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
			if d != nil && d.IsDir() {
				os.Chmod(p, 0o700)
			}
			return nil
		})
		if err := os.RemoveAll(top); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	for _, d := range []string{b.dir, b.state} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		b.own(d)
	}
	b.own(top)
	b.env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + top, "CELLOS_STATE=" + b.state, "SECRET_OF_THE_CALLER=hunter2",
		"GORACE=log_path=" + filepath.Join(races, "report") + " exitcode=0"}
	if u.backend == "gvisor" {
		if runsc(t) == "" {
			t.Fatal("runsc is not built: sh backend/gvisor/runsc/build.sh")
		}
		b.env = append(b.env, "CELLOS_CELL_BACKEND=gvisor", "CELLOS_RUNSC="+runsc(t))
	}
	return b
}

// own gives a path to the bench's user.
func (b *bench) own(path string) {
	b.t.Helper()
	if err := os.Chown(path, b.user.uid, b.user.uid); err != nil {
		b.t.Fatal(err)
	}
}

// write makes a file in the working directory, with the folders above it.
func (b *bench) write(name, content string, mode os.FileMode) string {
	b.t.Helper()
	p := filepath.Join(b.dir, name)
	for d := filepath.Dir(p); len(d) > len(b.dir); d = filepath.Dir(d) {
		if os.MkdirAll(d, 0o755) == nil {
			b.own(d)
		}
	}
	if err := os.WriteFile(p, []byte(content), mode); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		b.t.Fatal(err)
	}
	b.own(p)
	return p
}

// command prepares cellos with arguments; its standard streams are empty.
func (b *bench) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute) // a machine that does other things as well compiles slowly
	b.t.Cleanup(cancel)
	if b.user.backend == "microvm" && len(args) > 0 && args[0] == "run" { // no variable names it
		args = append([]string{"run", "--backend", "microvm"}, args[1:]...)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = b.dir, b.env
	cmd.WaitDelay = 10 * time.Second
	if b.closedTUN {
		script := `d=$(mktemp -d) && mount -t tmpfs none $d && mknod -m 666 $d/tun c 10 200 && mount --bind $d/tun /dev/net/tun && umount -l $d && rmdir $d &&
			exec setpriv --reuid "$0" --regid "$0" --clear-groups "$@"`
		id := strconv.Itoa(b.user.uid)
		again := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", script, id, binary}, args...)...)
		again.Dir, again.Env, again.WaitDelay = cmd.Dir, cmd.Env, cmd.WaitDelay
		return again
	}
	if b.user.uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(b.user.uid), Gid: uint32(b.user.uid)}}
	}
	return cmd
}

// A result is how one call of cellos ended.
type result struct {
	code     int // exit status; 128+n if cellos itself was killed by signal n
	out, err string
}

// cellos runs the program to its end.
func (b *bench) cellos(args ...string) result { return b.run(b.command(args...)) }

func (b *bench) run(cmd *exec.Cmd) result {
	b.t.Helper()
	var out, errb bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &errb
	}
	err := cmd.Run()
	r := result{out: out.String(), err: errb.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			r.code = 128 + int(s.Signal())
		}
	case err != nil:
		b.t.Fatalf("running cellos: %v", err)
	}
	return r
}

// cell runs a command in a cell with flags.
func (b *bench) cell(flags []string, command ...string) result {
	b.t.Helper()
	return b.cellos(append(append(append([]string{"run"}, flags...), "--"), command...)...)
}

// sh runs a shell script in a cell with flags.
func (b *bench) sh(script string, flags ...string) result {
	b.t.Helper()
	return b.cell(flags, "sh", "-c", script)
}

// ok demands success and returns the output.
func (r result) ok(t *testing.T) string {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit status %d\nstandard output:\n%s\nstandard error:\n%s", r.code, r.out, r.err)
	}
	return r.out
}

// fails demands an exit status and texts on standard error.
func (r result) fails(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d\nstandard output:\n%s\nstandard error:\n%s", r.code, code, r.out, r.err)
	}
	for _, s := range texts {
		if !strings.Contains(r.err, s) {
			t.Errorf("standard error does not say %q:\n%s", s, r.err)
		}
	}
}
