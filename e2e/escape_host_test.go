package e2e

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of this file put something on the host for a cell to reach, and look at it afterwards from outside.

// A listener counts who came, until it is closed.
type listener struct {
	net.Listener
	came chan string
}

func listen(t *testing.T, network, address string) listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return listener{l, make(chan string, 16)}
}

// none demands that a listener works and that nobody else has come: what the kernel queued is accepted before the test's own call.
func (l listener) none(t *testing.T) {
	t.Helper()
	own, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatalf("the listener of the test does not work: %v", err)
	}
	defer own.Close()
	if _, err := own.Write([]byte("test")); err != nil {
		t.Fatal(err)
	}
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	first.SetReadDeadline(time.Now().Add(10 * time.Second))
	text := make([]byte, 4)
	if n, err := first.Read(text); string(text[:n]) != "test" {
		t.Errorf("a connection from the cell on %s: %q, %v", l.Addr(), text[:n], err)
	}
}

func TestEscapesToSockets(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		tcp := listen(t, "tcp4", "127.0.0.1:0")
		port := strconv.Itoa(tcp.Addr().(*net.TCPAddr).Port)
		others := []listener{tcp, listen(t, "tcp6", "[::1]:"+port)}
		name := fmt.Sprintf("cellos-escape-%d-%d%s", os.Getpid(), u.uid, u.backend)
		others = append(others, listen(t, "unix", "@"+name), listen(t, "unix", filepath.Join(filepath.Dir(b.dir), "socket")))
		path := others[3].Addr().String()
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		compare(t, u, b.cell([]string{grant}, inside, "-", "sockets", port, name, path).ok(t), join(
			all("ECONNREFUSED", "loopback loopback6"), // the cell's own loopback has no listener
			all("ENETUNREACH", "outside outside-udp fastopen"),
			all("ECONNREFUSED|EPERM", "abstract abstract-dgram"), // names are the network namespace's; Landlock refuses too
			all("ENOENT", "unix-path"),
			all("EAFNOSUPPORT", "vsock packet packet-dgram alg bluetooth can rds tipc kcm xdp smc key ax25 family-high-bits"),
			all("EPROTONOSUPPORT", `raw raw6 ping sctp mptcp udplite netlink-audit netlink-netfilter netlink-uevent netlink-xfrm netlink-diag
				netlink-generic netlink-crypto`),
			all("EPERM", "route-add link-add lo-down transparent sndbufforce"),
			all("ENODEV", "eth0"),
			all("ENODEV|EPERM", "bind-to-device"),
			all("EACCES", "low-port"),
			all("EINVAL|EPERM", "forged-credentials"),
		))
		for _, l := range others {
			l.none(t)
		}
	})
}

// snapshot describes every file below a folder: mode, owner, content or target.
func snapshot(t *testing.T, top string) string {
	t.Helper()
	var s strings.Builder
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&s, "%s %v %d", p, fi.Mode(), owner(fi))
		switch {
		case fi.Mode().IsRegular():
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&s, " %v %q", fi.ModTime(), text)
		case fi.Mode()&os.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			s.WriteString(" -> " + to)
		}
		s.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// filesBench has a working directory, a folder "w" to write, a folder "r" to read, and a secret beside them that no grant names.
func filesBench(t *testing.T, u user) (b *bench, w, r, secret string) {
	b = newBench(t, u)
	other := newBench(t, u)
	for _, name := range []string{"lower", "lower2", "lower3", "lower5"} {
		b.write(name, "of the host", 0o644)
	}
	secret = other.write("secret", "secret", 0o644)
	other.write("w/theirs", "theirs", 0o644)
	other.write("w/sub/x", "x", 0o644)
	other.write("r/data", "data", 0o644)
	other.write("r/tool", "#!/bin/sh\n", 0o755)
	for _, l := range [][2]string{{b.dir + "/lower-link", secret}, {other.dir + "/w/link", secret}, {other.dir + "/w/dangling", other.dir + "/created"}} {
		if err := os.Symlink(l[1], l[0]); err != nil {
			t.Fatal(err)
		}
	}
	return b, other.dir + "/w", other.dir + "/r", secret
}

func TestEscapesByFiles(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b, w, r, secret := filesBench(t, u)
		work, read := snapshot(t, b.dir), snapshot(t, r)
		out := b.cell([]string{grant, "--write", w, "--read", r}, inside, "-", "files", w, r, secret).ok(t)
		compare(t, u, out, join(
			all("ENOENT", `secret link-of-the-host link-of-the-host-write link-made-read link-made-etc dotdot openat-absolute openat-up
				lower-link-out overlay-user-redirect beside-the-workdir`),
			all("EACCES|EPERM", "link-made-proc"),
			all("EROFS|EACCES", "link-of-the-host-create"),
			all("EXDEV|EACCES|EPERM|EROFS", `hard-link-read-to-write hard-link-usr hard-link-write-to-tmp hard-link-proc-fd rename-read-to-write
				rename-write-to-read rename-write-to-tmp exchange`),
			all("EBUSY|EXDEV|EROFS|EACCES", "rename-the-grant remove-the-grant"),
			all("EROFS|EACCES", `read-write read-truncate read-chmod read-utime read-xattr read-unlink read-create read-reopen read-fchmod
				read-map-shared read-exec write-exec`),
			all("EPERM|EACCES", "read-map-exec"), // noexec, which mmap heeds
			all("ENOSYS", "name_to_handle_at"),
			all("EPERM", "open_by_handle_at device-in-write trusted-xattr file-capability overlay-redirect freeze"),
			all("EINVAL|EPERM", "chown-write-to-root"),
			all("EINVAL|EPERM|EOPNOTSUPP|ENOTTY", "project-id immutable"),
			all("ok", "link-made made lower-delete lower-truncate lower-rename lower-chmod"),
		))
		if now := snapshot(t, b.dir); now != work {
			t.Errorf("the working directory of the host changed:\n%s\nnow:\n%s", work, now)
		}
		if now := snapshot(t, r); now != read {
			t.Errorf("the --read folder changed:\n%s\nnow:\n%s", read, now)
		}
		if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
			t.Errorf("the secret is %q, %v", text, err)
		}
		if _, err := os.Lstat(filepath.Join(filepath.Dir(w), "created")); err == nil {
			t.Error("a symbolic link led a new file out of the --write folder")
		}
		if fi, err := os.Stat(filepath.Join(w, "made")); err != nil || owner(fi) != u.uid {
			t.Errorf("the new file belongs to %d, %v; want %d", owner(fi), err, u.uid)
		}
		if text, err := os.ReadFile(filepath.Join(w, "theirs")); err != nil || string(text) != "theirs" {
			t.Errorf("a file that was only to be moved is %q, %v", text, err)
		}
	})
}

// TestNoSetuidFileOfAnotherUser: what a cell writes belongs to the folder's owner on the host, so that a set-user-ID bit on it would let
// everybody run what the cell wrote as that owner; if root owns the folder, as root.
func TestNoSetuidFileOfAnotherUser(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b, w, r, secret := filesBench(t, u)
		b.cell([]string{grant, "--write", w, "--read", r}, inside, "-", "files", w, r, secret).ok(t)
		filepath.WalkDir(w, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				t.Fatal(err)
			}
			if fi, err := d.Info(); err == nil && !d.IsDir() && fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
				t.Errorf("on the host %s is %v and belongs to %d", filepath.Base(p), fi.Mode(), owner(fi))
			}
			return nil
		})
	})
}

func TestEscapesBySignals(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		host := exec.Command("sleep", "1000")
		if u.uid != os.Getuid() {
			host.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.uid)}}
		}
		if err := host.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			host.Process.Kill()
			host.Wait()
		}()
		out := b.cell([]string{grant}, inside, "-", "signals", fmt.Sprint(host.Process.Pid))
		compare(t, u, out.ok(t), join(
			all("ESRCH", "kill-host kill-host-group tgkill-host sigqueue-host pidfd_open-host prlimit-host sched-host"),
			all("EPERM", "ptrace-host"),
			all("ok|EPERM", "pidfd-kill-1"), // ignored: kernel/signal.c:sig_task_ignored
			all("ok", "1-lives 1-lives-after-all 1-state"),
		))
		if err := host.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the host's process: %v", err)
		}
		if show := b.cellos("show", "last").ok(t); !strings.Contains(show, "nothing missing or changed") {
			t.Errorf("the record says\n%s", show)
		}
	})
}

func TestEscapesToState(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := b.cell([]string{grant}, inside, "-", "state", b.state).ok(t)
		compare(t, u, out, join(
			all("ENOENT", "state-open state-through-workdir state-through-self"),
			all("ENOENT|EXDEV|EROFS|EACCES", "state-create state-rename"),
			all("EACCES|EPERM", "state-through-1"),
		))
		b.cellos("verify", "last").ok(t)
	})
}
