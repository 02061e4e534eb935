package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// What a cell was given by a careless caller, what it may use up, and how long it lasts.

// verdictFile is a file of the host into which a probe writes when its streams are what is tried.
func verdictFile(t *testing.T, u user) (path, grant string) {
	t.Helper()
	b := newBench(t, u)
	return filepath.Join(b.dir, "verdicts"), "--write=" + b.dir
}

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEscapesByDescriptors(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		path, write := verdictFile(t, u)
		l := listen(t, "tcp4", "127.0.0.1:0")
		socket, err := l.Listener.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		var files []*os.File
		for _, f := range []struct {
			name string
			flag int
		}{{"in", os.O_RDONLY}, {"out", os.O_WRONLY}, {"err", os.O_WRONLY}, {"secret", os.O_RDWR}} {
			h, err := os.OpenFile(b.write(f.name, "kept\n", 0o600), f.flag, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if f.flag == os.O_WRONLY {
				if _, err := h.Seek(0, io.SeekEnd); err != nil {
					t.Fatal(err)
				}
			}
			files = append(files, h)
		}
		dir, err := os.Open(b.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		c := b.command("run", "--workdir", b.dir+":empty", write, grant, "--", inside, path, "descriptors")
		c.Stdin, c.Stdout, c.Stderr = files[0], files[1], files[2]
		c.ExtraFiles = []*os.File{dir, socket, files[3]}
		if r := b.run(c); r.code != 0 {
			t.Fatalf("exit status %d: %s", r.code, contents(t, b.dir+"/err"))
		}
		compare(t, u, contents(t, path), join(
			all("EBADF", "inherited"),
			all("ENOTDIR", "fchdir-0 openat-0"),
			all("EACCES|EPERM|EROFS", "reopen-0-write reopen-0-truncate"),
			all("EINVAL|EBADF", "truncate-0"),
			// Root's outputs are pipes of the cell's own, which may be opened; a file is seen below, from outside.
			all("EACCES|EPERM|ok", "reopen-1-truncate reopen-1-read reopen-2-truncate reopen-2-read"),
			all("EBADF", "read-1 read-2"),
			all("ENOSYS", "pidfd_getfd-0 pidfd_getfd-1 pidfd_getfd-2 pidfd_getfd-3 pidfd_getfd-4"),
			all("EPERM|ok", "chmod-0"), // an ordinary caller's own file, given by descriptor
		))
		for _, name := range []string{"in", "out", "secret"} {
			if text := contents(t, filepath.Join(b.dir, name)); text != "kept\n" {
				t.Errorf("the file %s is %q", name, text)
			}
		}
		if text := contents(t, filepath.Join(b.dir, "err")); !strings.HasPrefix(text, "kept\n") {
			t.Errorf("the file of standard error is %q", text)
		}
		l.none(t)
	})
}

func ioctl(f *os.File, request, arg uintptr) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, arg); e != 0 {
		return e
	}
	return nil
}

// openTerminal makes a pseudo-terminal that belongs to a user.
func openTerminal(t *testing.T, u user) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	var n, unlocked uint32
	if err := ioctl(master, syscall.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlocked))); err != nil {
		t.Fatal(err)
	}
	if err := ioctl(master, syscall.TIOCGPTN, uintptr(unsafe.Pointer(&n))); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(n)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := os.Chown(slave.Name(), u.uid, -1); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestEscapesByTerminal(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		path, write := verdictFile(t, u)
		_, slave := openTerminal(t, u)
		var before, after syscall.Termios
		if err := ioctl(slave, syscall.TCGETS, uintptr(unsafe.Pointer(&before))); err != nil {
			t.Fatal(err)
		}
		c := b.command("run", write, grant, "--", inside, path, "terminal", slave.Name())
		c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
		if c.SysProcAttr == nil {
			c.SysProcAttr = &syscall.SysProcAttr{}
		}
		c.SysProcAttr.Setsid, c.SysProcAttr.Setctty = true, true
		if r := b.run(c); r.code != 0 {
			t.Fatalf("exit status %d", r.code)
		}
		want := all("ENXIO|ENOENT", "tty")
		want = append(want, all("ENOENT|EACCES|ENXIO|EIO", "pts-0 pts-of-the-caller")...)
		for fd := range 3 {
			want = append(want, all("ENOTTY", fmt.Sprintf("tcgetattr-%d tcsetattr-%[1]d", fd))...)
			want = append(want, all("EPERM", fmt.Sprintf("TIOCSTI-%d TIOCSTI-high-bits-%[1]d", fd))...)
			want = append(want, all("ENOTTY|EPERM|EACCES", fmt.Sprintf("TIOCSCTTY-%d TIOCSPGRP-%[1]d TIOCGPTPEER-%[1]d", fd))...)
		}
		compare(t, u, contents(t, path), want)
		if err := ioctl(slave, syscall.TCGETS, uintptr(unsafe.Pointer(&after))); err != nil || before != after {
			t.Errorf("the caller's terminal was %v, is %v, %v", before, after, err)
		}
		// Nothing was typed into it.
		var waiting int32
		if err := ioctl(slave, syscall.TIOCINQ, uintptr(unsafe.Pointer(&waiting))); err != nil || waiting != 0 {
			t.Errorf("%d bytes in the caller's terminal, %v", waiting, err)
		}
	})
}

func TestEscapesToSharedMemory(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		key := uintptr(os.Getpid()<<8 + len(u.name) + 16*len(u.backend))   // one for each user and backend
		id, _, e := syscall.Syscall(syscall.SYS_SHMGET, key, 4096, 0o1666) // IPC_CREAT
		if e != 0 {
			t.Fatal(e)
		}
		defer syscall.Syscall(syscall.SYS_SHMCTL, id, 0, 0) // IPC_RMID
		path := fmt.Sprintf("/dev/shm/cellos-escape-%d-%d%s", os.Getpid(), u.uid, u.backend)
		if err := os.WriteFile(path, []byte("host"), 0o666); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		out := b.cell([]string{grant}, inside, "-", "ipc", fmt.Sprint(key), fmt.Sprint(id), path).ok(t)
		compare(t, u, out, join(
			all("ENOENT", "shmget semget msgget shm-of-the-host mqueue"),
			all("ENOENT|ENOSYS", "mq_open"),
			all("EINVAL", "shmat shmctl-remove"),
		))
		if again, _, e := syscall.Syscall(syscall.SYS_SHMGET, key, 0, 0); e != 0 || again != id {
			t.Errorf("the host's segment is %d, %v; was %d", again, e, id)
		}
	})
}

func TestEscapesFromLimits(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := b.cell([]string{grant, "--pids", "16", "--nofile", "32", "--file-size", "64KiB"}, inside, "-", "limits").ok(t)
		compare(t, u, out, join(
			all("SIGXFSZ", "file-size"),
			all("EMFILE", "open-files"),
			all("EAGAIN", "fork-bomb"),
			all("ok", "open-files-bounded fork-bomb-bounded"),
			all("EPERM", "rlimit-back file-size-back"),
		))
		compare(t, u, b.cell([]string{grant, "--scratch", "1MiB"}, inside, "-", "scratch").ok(t), join(
			all("ENOSPC", "full-0 full-1 full-2"),
			all("ok", "bounded-0 bounded-1 bounded-2"),
			all("ENOSPC", "names"),
		))
		r := b.cell([]string{grant, "--time", "300ms", "--grace", "200ms"}, inside, "-", "spare")
		r.fails(t, 124)
		compare(t, u, r.out, all("ok", "ready"))
	})
}

// still demands that nobody writes to a file any more; a writer of the test would have written 100 times meanwhile.
func still(t *testing.T, path string) {
	t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(100 * time.Millisecond)
	if after, err := os.Stat(path); err != nil || after.Size() != before.Size() {
		t.Errorf("%s grows: %d, %d bytes, %v", path, before.Size(), after.Size(), err)
	}
}

func TestADaemonEndsWithTheCell(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		path, write := verdictFile(t, u)
		compare(t, u, b.cell([]string{grant, write}, inside, "-", "outlive", path).ok(t), all("ok", "ready"))
		still(t, path)
	})
}

// killed starts a probe that stays, kills the supervisor, and demands that the cell goes.
func killed(t *testing.T, b *bench, flags []string, marker string, probe ...string) {
	t.Helper()
	c := b.command(append(append(append([]string{"run"}, flags...), "--", inside, "-"), probe...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 64)
	n, err := out.Read(first)
	if err != nil || !bytes.Contains(first[:n], []byte(" ")) {
		t.Errorf("the probe did not start: %q, %v", first[:n], err)
	}
	killedWithKin(t, c).gone(t)
	deadline := time.Now().Add(5 * time.Second)
	for left := alive(marker); len(left) > 0; left = alive(marker) {
		if time.Now().After(deadline) {
			t.Errorf("the cell outlives its supervisor: %v", left)
			for _, l := range left { // ours, by the marker
				pid, _ := strconv.Atoi(strings.Split(l, "/")[2])
				syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
		time.Sleep(2 * time.Millisecond) // polling, bounded by the deadline
	}
}

func TestADaemonEndsWithAKilledSupervisor(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		path, write := verdictFile(t, u)
		marker := fmt.Sprintf("outlive-%d-%d%s.", os.Getpid(), u.uid, u.backend)
		killed(t, b, []string{grant, write}, marker, "outlive", path, marker)
		still(t, path)
	})
}

// TestACellCannotBlindItsFirstProcess: PID 1 ends the cell when the supervisor is gone, which it sees by ppoll(2); that call fails for good
// if RLIMIT_NOFILE is below the number of descriptors to wait on, and prlimit(2) sets the limits of every process of the same user.
func TestACellCannotBlindItsFirstProcess(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		marker := fmt.Sprintf("alone-%d-%d%s.", os.Getpid(), u.uid, u.backend)
		r := b.cell([]string{grant, "--time", "5s", "--grace", "100ms"}, inside, "-", "alone", marker)
		if r.code == 124 {
			t.Errorf("the command ended, and the cell did not: %s", r.err)
		}
		gone(t, marker)
	})
}
