package remote

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/sysabi"
)

// memoryLimit is where the gate's collector begins to work for memory and not for time. 200 connections that move bytes as fast as they can
// have 9 MiB alive, and 7 of stacks and of the runtime (docs/performance.md); what the pools of the stack keep beyond that is garbage.
const memoryLimit = "GOMEMLIMIT=18MiB"

// Start starts the program. Env says where root certificates are, as package crypto/x509 reads it (SSL_CERT_FILE, SSL_CERT_DIR); nil: where the
// system has them. Denied is told of each new refusal, from one goroutine.
func Start(program string, env []string, denied func(wire.Refused)) (*Gate, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("making the gate's socket: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "gate")
	defer theirs.Close()
	g := &Gate{denied: denied, ready: make(chan error, 1), vouched: make(chan []byte, 1), failed: make(chan error, 1), ended: make(chan struct{})}
	if g.conn, err = wire.NewConn(os.NewFile(uintptr(fds[0]), "gate")); err != nil {
		return nil, fmt.Errorf("making the gate's socket: %w", err)
	}
	g.cmd = &exec.Cmd{Path: program, Args: []string{program}, Env: append([]string{"GOMAXPROCS=1", memoryLimit}, env...), ExtraFiles: []*os.File{theirs}, Stderr: &g.said,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}, WaitDelay: time.Second}
	if err := calmly(g.cmd.Start); err != nil {
		g.conn.Close()
		return nil, fmt.Errorf("starting the gate: %w", err)
	}
	go g.listen()
	return g, nil
}

// calmly starts a process whose threads may oversleep a millisecond. The Go runtime has a thread that looks every 20 µs whether another one
// is stuck (runtime.sysmon), as long as anything runs: for a gate, that was most of what a busy host had to switch between.
func calmly(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const ms, usual = 1000000, 50000 // in ns; the kernel's own, timer_slack_ns of init/init_task.c
	if sysabi.SetTimerSlack(ms) == nil {
		defer sysabi.SetTimerSlack(usual)
	}
	return start()
}
