package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// elf is the header of an ELF program (elf(5)) for a machine, with nothing behind it.
func elf(machine byte) string {
	h := make([]byte, 256)
	copy(h, "\x7fELF\x02\x01\x01")
	h[16], h[18], h[20] = 2, machine, 1
	return string(h)
}

func TestCommandsThatCannotStart(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b, _ := badBench(t, u)
		b.write("cut", elf(62)[:64], 0o755) // EM_X86_64
		b.write("foreign", elf(22), 0o755)  // EM_S390
		b.write("garbage", "\x00\x01", 0o755)
		b.write("lost", "#!/no/such/interpreter\n", 0o755)
		b.write("plain", "text", 0o644)
		for _, c := range []struct {
			name string
			code int
			text []string
		}{
			{"no-such-program", 127, []string{"no-such-program: not found in the cell"}},
			{"./nothing", 127, []string{"./nothing"}},
			{"./file/below", 127, []string{"./file/below"}},
			{"./dangling", 127, []string{"./dangling"}},
			{"./lost", 127, []string{"./lost", "/no/such/interpreter"}},
			{"./plain", 126, []string{"./plain: permission denied"}},
			{"./sub", 126, []string{"./sub: permission denied"}},
			{"./cut", 126, []string{"./cut: exec format error"}},
			{"./foreign", 126, []string{"./foreign: exec format error"}},
			{"./garbage", 126, []string{"./garbage: exec format error"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := b.cell(nil, c.name, "argument")
				r.fails(t, c.code, c.text...)
				oneError(t, r)
			})
		}
		closed(t, b)
	})
}

// A shell that becomes cellos after it prepared what the test is about; "$@" is cellos with its arguments.
func (b *bench) after(script string, args ...string) *exec.Cmd {
	cmd := b.command()
	cmd.Path = "/bin/sh"
	cmd.Args = append([]string{"sh", "-c", script, "sh", binary}, args...)
	return cmd
}

func TestBadStateDirectory(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b, out := badBench(t, u)
		mark := filepath.Join(out, "mark")
		for _, c := range []struct{ name, state, text string }{
			{"relative", "state", "not an absolute path"},
			{"a link", filepath.Join(b.dir, "link"), "is a symbolic link"},
			{"a file", filepath.Join(b.dir, "file"), "is not a directory"},
			{"below a file", filepath.Join(b.dir, "file/x"), "not a directory"},
			{"not writable", "/proc", "/proc"},
		} {
			t.Run(c.name, func(t *testing.T) {
				here := *b
				here.t, here.env = t, append(append([]string{}, b.env...), "CELLOS_STATE="+c.state)
				r := here.cell([]string{"--write", out}, "sh", "-c", ": > "+mark)
				r.fails(t, 125, c.text)
				oneError(t, r)
				if _, err := os.Lstat(mark); err == nil {
					t.Error("the command ran without a record")
				}
			})
		}
		if u.uid == 0 {
			return // nothing is closed to root
		}
		for _, state := range []string{"/root/.cellos-e2e", "/usr/cellos-e2e"} {
			here := *b
			here.env = append(append([]string{}, b.env...), "CELLOS_STATE="+state)
			r := here.cell(nil, "true")
			r.fails(t, 125, state, "permission denied")
			oneError(t, r)
		}
	})
}

func TestADeletedWorkingDirectory(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r := b.run(b.after(`mkdir gone; cd gone; rmdir ../gone; exec "$@"`, "run", "--", "true"))
		r.fails(t, 125, "finding the working directory")
		oneError(t, r)
		b.run(b.after(`mkdir gone; cd gone; rmdir ../gone; exec "$@"`, "run", "--workdir", b.dir, "--", "pwd")).ok(t)
	})
}

// What a user cannot read is not shown by a grant either.
func TestUnreadableFolders(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		if u.uid == 0 || os.Getuid() != 0 {
			t.Skip("needs root to make a folder that the user cannot read, and a user that is not root")
		}
		b := newBench(t, u)
		secret := b.write("secret/inner/data", "secret", 0o600)
		dir := filepath.Dir(filepath.Dir(secret))
		for _, p := range []string{secret, filepath.Dir(secret), dir} {
			if err := os.Chown(p, 0, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(p, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, flags := range [][]string{{"--read", dir + ":/x"}, {"--workdir", dir}, {"--read", secret}, {"--workdir", dir + ":write"}} {
			r := b.sh("ls /x . ; cat /x/inner/data inner/data", flags...)
			if r.code == 0 || !strings.Contains(strings.ToLower(r.err), "permission denied") || strings.Contains(r.out+r.err, "inner\n") {
				t.Errorf("%v: exit status %d\n%s%s", flags, r.code, r.out, r.err)
			}
		}
		r := b.sh("true", "--read", secret)
		r.fails(t, 125, secret+": permission denied")
		oneError(t, r)
	})
}

// Closed standard streams are empty ones: no file of the supervisor's takes their place.
func TestClosedStandardStreams(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		script := `readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 > links; echo out; echo err >&2; cat`
		for _, closing := range []string{"<&-", ">&-", "2>&-", "<&- >&- 2>&-"} {
			r := b.run(b.after(`exec "$@" `+closing, "run", "--workdir", b.dir+":write", "--", "sh", "-c", script))
			if r.code != 0 {
				t.Errorf("%s: exit status %d, %s", closing, r.code, r.err)
			}
			links, _ := os.ReadFile(filepath.Join(b.dir, "links"))
			if strings.Contains(string(links), "state") || strings.Contains(string(links), ".jsonl") {
				t.Errorf("%s: the streams inside are\n%s", closing, links)
			}
		}
		for _, r := range runsOf(t, b) {
			if r.Status != "complete" {
				t.Errorf("the record is %s: %s", r.Status, r.Path)
			}
		}
	})
}

func TestFullDisks(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := newBench(t, u).dir
		mark := filepath.Join(out, "mark")
		r := b.sh(": > "+mark, "--write", out, "--events", "/dev/full")
		r.fails(t, 125, "no space left on device")
		oneError(t, r)
		if _, err := os.Lstat(mark); err == nil {
			t.Error("the command ran without evidence")
		}
		if list := runsOf(t, b); len(list) != 1 || list[0].Status != "complete" || !strings.Contains(list[0].Reason, "event stream emit: ") {
			t.Errorf("the run's own record does not tell of the sink that failed: %+v", list)
		}
		b.cellos("verify", "last").ok(t)
		// Nothing is lost in silence: not the command's output, not our own.
		if r := b.run(b.after(`exec "$@" >/dev/full`, "run", "--", "echo", "x")); r.code == 0 || !strings.Contains(strings.ToLower(r.err), "no space left on device") {
			t.Errorf("output to a full disk: exit status %d, %s", r.code, r.err)
		}
		for _, args := range [][]string{{"version"}, {"schema"}, {"help"}, {"runs", "--json"}, {"explain", "--", "true"}, {"completion", "bash"}, {"run", "--help"}, {"help", "run"}} {
			if r := b.run(b.after(`exec "$@" >/dev/full`, args...)); r.code == 0 {
				t.Errorf("%v: exit status 0 although nothing was written", args)
			}
		}
	})
}

func TestAFullStateDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small disk in a mount namespace of its own")
	}
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := newBench(t, u).dir
		mark := filepath.Join(out, "mark")
		// A page holds nothing; with more of them the disk is full later in the run, at last after the command.
		for pages := 4; pages <= 24; pages += 2 {
			os.Remove(mark)
			cmd := b.command()
			cmd.SysProcAttr = nil
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `exec unshare -m sh -c 'mount -t tmpfs -o size=$2k,mode=700,uid=$3 none "$CELLOS_STATE" && exec setpriv --reuid $3 --regid $3 --clear-groups "$1" run --write "$4" -- sh -c ": > $5"' sh "$@"`,
				"sh", binary, fmt.Sprint(pages * 4), fmt.Sprint(u.uid), out, mark}
			r := b.run(cmd)
			_, err := os.Lstat(mark)
			switch ran := err == nil; {
			case r.code == 0 && ran:
			case r.code == 123 && ran, r.code == 125 && !ran:
				oneError(t, r)
				if !strings.Contains(r.err, "no space left on device") {
					t.Errorf("%d pages: %s", pages, r.err)
				}
			default:
				t.Errorf("%d pages: exit status %d, the command ran: %v\n%s", pages, r.code, ran, r.err)
			}
		}
	})
}

// TestExhaustedProcesses sweeps the limit of processes of a user: below what the Go runtime needs it ends itself; above it is a refusal
// in our words, or a run.
func TestExhaustedProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to be a user without processes")
	}
	const lonely = 64123 // nobody else's uid, so that the count begins at 0
	b := newBench(t, user{name: "lonely", uid: lonely})
	refusals := 0
	for n := 4; n <= 24; n += 2 {
		cmd := b.command()
		cmd.SysProcAttr = &syscall.SysProcAttr{}
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `exec setpriv --reuid "$1" --regid "$1" --clear-groups prlimit --nproc="$2" "$3" run -- echo ran`, "sh", fmt.Sprint(lonely), fmt.Sprint(n), binary}
		r := b.run(cmd)
		switch {
		case strings.Contains(r.err, "newosproc"):
		case r.code == 0 && r.out == "ran\n":
		case r.code == 125 && r.out == "":
			oneError(t, r)
			refusals++
		default:
			t.Errorf("%d processes: exit status %d, output %q\n%s", n, r.code, r.out, r.err)
		}
	}
	t.Logf("%d refusals", refusals)
}
