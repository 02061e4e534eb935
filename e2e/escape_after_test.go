package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a cell leaves for others to stumble over: the supervisor that lists the changes, the next call of cellos, the programs of the host.

// ended is how long cellos may take for a command that ends at once, whatever the command left. An ordinary run takes some 20 ms.
const ended = 10 * time.Second

// withDeadline ends cellos if it takes longer than that, and reports whether it did.
func withDeadline(b *bench, c *exec.Cmd) (r result, late bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), ended)
	defer cancel()
	limited := exec.CommandContext(ctx, c.Path, c.Args[1:]...)
	limited.Dir, limited.Env, limited.SysProcAttr, limited.Stdin = c.Dir, c.Env, c.SysProcAttr, c.Stdin
	r = b.run(limited)
	return r, ctx.Err() != nil
}

// TestChangesAreListedInTime: the listing reads what the command chose, after its time limit.
func TestChangesAreListedInTime(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, group := range []string{"sparse", "links", "deep"} {
			t.Run(group, func(t *testing.T) {
				g := newGiven(t, u)
				g.flags = append(g.flags, "--time", "5s")
				if _, late := withDeadline(g.bench, g.attempt(group)); late {
					t.Errorf("cellos did not end within %v of a command that did", ended)
				}
				g.want(group, "ok", group)
			})
		}
	})
}

// TestAClosedFolderIsListed: the command cannot hide from the record what it made.
func TestAClosedFolderIsListed(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		g := newGiven(t, u)
		r := g.run(g.attempt("closed"))
		g.want("closed", "ok", "closed")
		if r.code != 0 {
			t.Errorf("exit status %d: %s", r.code, r.err)
		}
		if show := g.cellos("show", "last").ok(t); !strings.Contains(show, "hidden") {
			t.Errorf("the record has no file \"hidden\":\n%s", show)
		}
	})
}

// TestPlantedEventFiles: the file of --events may lie where an earlier cell could write.
func TestPlantedEventFiles(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, c := range []struct{ name, plant string }{
			{"symbolic link", "ln -s \"$0\" events"},
			{"dangling link", "ln -s \"$0-not-there\" events"},
			{"fifo", "mkfifo events"},
		} {
			t.Run(c.name, func(t *testing.T) {
				b, other := newBench(t, u), newBench(t, u)
				victim := other.write("victim", "of the host\n", 0o600)
				b.cell([]string{"--workdir", b.dir + ":write"}, "sh", "-c", c.plant, victim).ok(t)
				r, late := withDeadline(b, b.command("run", "--events", "events", "--", "true"))
				if late {
					t.Errorf("cellos waits for somebody to read %s", c.name)
				}
				if r.code == 0 {
					t.Error("the events went through what a cell had planted")
				}
				if text, err := os.ReadFile(victim); err != nil || string(text) != "of the host\n" {
					t.Errorf("a file of the host is %d bytes, %v", len(text), err)
				}
				if _, err := os.Lstat(victim + "-not-there"); err == nil {
					t.Error("a file of the host was made")
				}
			})
		}
	})
}

// TestAPlantedLinkIsNoGrant: a name that an earlier cell could replace is not followed when it is granted.
func TestAPlantedLinkIsNoGrant(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b, other := newBench(t, u), newBench(t, u)
		other.write("secret", "secret", 0o644)
		b.cell([]string{"--workdir", b.dir + ":write"}, "sh", "-c", "ln -s \"$0\" data && mkdir sub && ln -s \"$0\" sub/data", other.dir).ok(t)
		for _, grant := range []string{b.dir + "/data", b.dir + "/sub/data", b.dir + "/data/secret", b.dir + "/sub/../data"} {
			for _, flag := range []string{"--read", "--write", "--exec"} {
				if r := b.sh("cat "+grant+" "+grant+"/secret", flag, grant); r.code < 125 && r.code != 2 || strings.Contains(r.out, "secret") {
					t.Errorf("%s %s: exit status %d, %q", flag, grant, r.code, r.out)
				}
			}
		}
	})
}

// readableCell starts the program's group "readable", which waits for its input to end.
func readableCell(t *testing.T, u user, flags []string, dir, file string) (givenCell, func()) {
	t.Helper()
	g := newGiven(t, u)
	g.flags = append(g.flags, flags...)
	c := g.attempt("readable", filepath.Join(dir, "socket"), file)
	if len(flags) == 0 { // in the copy-on-write working directory
		c.Dir = dir
	}
	hold, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(ended)
	for g.verdicts("readable")["ready"] == "" {
		if time.Now().After(deadline) {
			t.Fatal("the program did not start")
		}
		time.Sleep(2 * time.Millisecond) // polling, bounded by the deadline
	}
	return g, func() {
		hold.Close()
		c.Wait()
	}
}

// TestAFolderToReadIsOnlyRead: a read-only mount forbids neither to talk to a listening socket in it nor to take a lease on a file, which
// makes the host's writers wait for /proc/sys/fs/lease-break-time (45 s).
func TestAFolderToReadIsOnlyRead(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		for _, mode := range []string{"read", "overlay"} {
			t.Run(mode, func(t *testing.T) {
				host := newBench(t, u)
				file := host.write("file", "of the host", 0o600)
				l, err := net.Listen("unix", filepath.Join(host.dir, "socket"))
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				host.own(l.Addr().String())
				var flags []string
				if mode == "read" {
					flags = []string{"--read", host.dir}
				}
				g, end := readableCell(t, u, flags, host.dir, file)
				defer end()
				t.Run("lease", func(t *testing.T) {
					// EWOULDBLOCK: somebody holds a lease (fcntl(2)).
					w, err := os.OpenFile(file, os.O_WRONLY|syscall.O_NONBLOCK, 0)
					if err != nil {
						t.Errorf("the host writes to its file: %v; the cell: lease %s", err, g.verdicts("readable")["lease"])
					} else {
						w.Close()
					}
				})
				t.Run("socket", func(t *testing.T) {
					l.(*net.UnixListener).SetDeadline(time.Now().Add(time.Millisecond)) // what has come is in the queue
					if c, err := l.Accept(); err == nil {
						c.Close()
						t.Errorf("the cell talks to a server of the host: connect %s, send %s", g.verdicts("readable")["connect"], g.verdicts("readable")["send"])
					}
				})
			})
		}
	})
}

// TestTheSecondWall: where the filter lets user namespaces be made, what they allow ends at Landlock and at the kernel's locks on mounts.
func TestTheSecondWall(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		g := newGiven(t, u)
		g.flags = append(g.flags, "--seccomp", "baseline")
		before, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		g.run(g.attempt("wall")).ok(t)
		for verdicts, names := range map[string]string{
			"ok":     "wall-clone3 wall-setgroups wall-uid_map wall-fsmount", // by design of the weaker profile
			"EACCES": "wall-list-own-mount wall-write-own-mount wall-sysctl wall-canary wall-device",
			"EPERM": `wall-move_mount wall-new-proc wall-new-sys wall-new-cgroup wall-usr-writable wall-root-writable wall-sysctl-writable wall-hostname
				wall-time wall-umount`,
			"EROFS|EACCES": "wall-usr-create",
			"EINVAL":       "wall-proc-uncovered", // its covers are locked to it: fs/namespace.c:has_locked_children
			"ok|EPERM":     "wall-chroot",
			"ENOENT":       "wall-chroot-out",
		} {
			g.want("wall", verdicts, names)
		}
		if after, err := os.ReadFile("/proc/self/mountinfo"); err != nil || string(after) != string(before) {
			t.Errorf("mounts were\n%s\nare\n%s\n%v", before, after, err)
		}
	})
}
