package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

func TestMain(m *testing.M) {
	switch os.Getenv("CELLOS_GATE_TEST") {
	case "confined":
		confined()
	case "exec":
		if err := confine(); err == nil {
			syscall.Exec("/bin/true", []string{"true"}, nil)
		}
	default:
		os.Exit(m.Run())
	}
}

// confined tries what the gate may and may not do, on whichever thread it is.
func confined() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := os.CreateTemp("", "kept")
	if err != nil {
		fmt.Println(err)
		return
	}
	os.Remove(kept.Name())
	if err := confine(); err != nil {
		fmt.Println("confining:", err)
		return
	}
	say := func(what string, err error) {
		var e syscall.Errno
		switch {
		case err == nil:
			fmt.Println(what, "done")
		case errors.As(err, &e):
			fmt.Println(what, e)
		default:
			fmt.Println(what, err)
		}
	}
	var all sync.WaitGroup
	for range 20 { // many threads, in and out of system calls
		all.Go(func() { syscall.Getpid() })
	}
	all.Wait()
	_, err = os.Open("/etc/passwd")
	say("open", err)
	_, err = os.OpenFile(os.TempDir()+"/gate-made", os.O_CREATE|os.O_WRONLY, 0o600)
	say("create", err)
	_, err = os.Lstat("/")
	say("stat", err)
	for _, x := range []struct {
		name      string
		fam, kind int
	}{{"unix", syscall.AF_UNIX, syscall.SOCK_STREAM}, {"netlink", syscall.AF_NETLINK, syscall.SOCK_RAW}, {"packet", syscall.AF_PACKET, syscall.SOCK_RAW}, {"raw", syscall.AF_INET, syscall.SOCK_RAW}, {"tcp", syscall.AF_INET, syscall.SOCK_STREAM}, {"udp6", syscall.AF_INET6, syscall.SOCK_DGRAM}} {
		_, err := syscall.Socket(x.fam, x.kind, 0)
		say(x.name, err)
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
	say("fork", e)
	_, err = syscall.Mmap(-1, 0, 4096, syscall.PROT_EXEC|syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	say("code", err)
	say("kill", syscall.Kill(os.Getppid(), 0))
	_, err = kept.WriteAt([]byte("x"), 1<<20-1)
	say("kept file", err)
	_, err = kept.WriteAt([]byte("x"), 1<<20)
	say("kept file grows", err)
	c, err := net.Dial("tcp", l.Addr().String())
	say("connect", err)
	if err == nil {
		_, err = c.Write([]byte("x"))
		say("write", err)
	}
}

// TestConfined: what is left to a gate that was taken over.
func TestConfined(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CELLOS_GATE_TEST=confined")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	const want = `open operation not permitted
create operation not permitted
stat operation not permitted
unix operation not permitted
netlink operation not permitted
packet operation not permitted
raw operation not permitted
tcp done
udp6 done
fork operation not permitted
code operation not permitted
kill operation not permitted
kept file done
kept file grows file too large
connect done
write done
`
	if string(out) != want {
		t.Errorf("the confined process said\n%s\nwant\n%s", out, want)
	}
}

// TestConfinedExec: executing another program ends the gate.
func TestConfinedExec(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CELLOS_GATE_TEST=exec")
	cmd.Dir = t.TempDir() // a core file would be here
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGSYS || exit.Sys().(syscall.WaitStatus).CoreDump() {
		t.Errorf("it ended with %v, want SIGSYS and no core", err)
	}
	if cores, _ := filepath.Glob(cmd.Dir + "/*"); len(cores) > 0 {
		t.Errorf("it left %s", strings.Join(cores, " "))
	}
}

// TestPolicyEverywhere: the filter exists for every architecture, and lets no call with a path pass.
func TestPolicyEverywhere(t *testing.T) {
	for _, a := range sysabi.Arches() {
		p := policy(1234)
		if _, err := seccomp.Compile(p, a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		for _, name := range []string{"open", "openat", "openat2", "creat", "execve", "unlink", "unlinkat", "renameat2", "mknodat", "chmod", "fchmodat", "chdir", "chroot", "statx", "newfstatat", "linkat",
			"symlinkat", "truncate", "utimensat", "setxattr", "memfd_create", "kill", "pidfd_open", "ioctl", "socketpair", "listen", "ptrace", "io_uring_enter"} {
			nr, ok := a.Number(name)
			if !ok {
				continue
			}
			if got := p.Verdict(a, seccomp.Data{Arch: a.Audit(), NR: uint32(nr)}); got == seccomp.Allow {
				t.Errorf("%s: %s is allowed", a, name)
			}
		}
	}
}
