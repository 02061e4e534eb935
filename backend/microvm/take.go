//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
)

// Pooled is where machines come from that were booted before, and what happens without one.
type Pooled struct {
	Dir    string // folder of the pool's socket
	Prefer bool   // without a machine that fits, one is booted; else that is an error
}

// A NoMachineError says that no pool gives a machine for a cell.
type NoMachineError struct {
	Text, Remedy string
	Err          error
}

func (e *NoMachineError) Error() string {
	s := "taking a machine from the pool: " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *NoMachineError) Unwrap() error { return e.Err }

// Hint is what would help.
func (e *NoMachineError) Hint() string { return e.Remedy }

// handTime bounds what a pool may take to answer, which takes it a millisecond.
const handTime = 10 * time.Second

// PoolSocket is the name of a pool's socket in its folder.
const PoolSocket = "pool"

// dialPool connects with the pool of this user. The path of a socket is short, that of a folder need not be.
func dialPool(dir string) (*net.UnixConn, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	c, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), PoolSocket))
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UnixConn)
	if err := ours(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the socket of the pool: %w", err)
	}
	conn.SetDeadline(time.Now().Add(handTime))
	return conn, nil
}

// askPool says something to the pool of a folder, and returns what it answers.
func askPool(dir string, a poolAsked) (conn *net.UnixConn, x poolAnswer, files []*os.File, err error) {
	a.Protocol = guest.Protocol
	if conn, err = dialPool(dir); err == nil {
		if err = send(conn, a); err == nil {
			files, err = receive(conn, &x)
		}
		if err != nil {
			closeAll(files...)
			conn.Close()
		}
	}
	const start = "start one beforehand, and let it run: cellos pool start"
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, x, nil, &NoMachineError{Text: "no pool runs here", Remedy: start}
	case err != nil:
		return nil, x, nil, &NoMachineError{Text: "the pool does not answer", Err: err}
	case x.Error != "":
		closeAll(files...)
		conn.Close()
		return nil, x, nil, &NoMachineError{Text: x.Error, Remedy: x.Hint}
	}
	return conn, x, files, nil
}

// take gets a machine of the pool for the cell, if there is one. It is measured as one that was booted for it.
func (c *machineCell) take(ctx context.Context, b Backend) error {
	at := time.Now()
	want := b.shapeOf(c.plan, c.digests)
	conn, x, files, err := askPool(b.Pool.Dir, poolAsked{What: askTake, Want: want})
	var none *NoMachineError
	if errors.As(err, &none) && b.Pool.Prefer {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if x.Machine == nil || len(files) != handedFiles {
		closeAll(files...)
		return fmt.Errorf("taking a machine from the pool: it has %d descriptors; %d belong to one", len(files), handedFiles)
	}
	x.Machine.files = files
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		x.Machine.close()
		return fmt.Errorf("taking a machine from the pool: the pool does not let go of it: %w", err)
	}
	if err := c.adopt(ctx, b, x.Machine); err != nil {
		return fmt.Errorf("taking a machine from the pool: %w", err)
	}
	b.phase("pool", at)
	return nil
}

// adopt makes the machine this cell's. It owns the descriptors.
func (c *machineCell) adopt(ctx context.Context, b Backend, h *handed) (err error) {
	c.pooled = h
	control, pidfd, dir, console, channel, disk := h.files[0], h.files[1], h.files[2], h.files[3], h.files[4], h.files[5]
	defer closeAll(channel, disk) // what is needed of them are copies
	c.console = watchConsole(console)
	c.console.tail = append(c.console.tail, h.Console...)
	fail := func(err error) error {
		closeAll(control, pidfd, dir)
		return err
	}
	if d := h.Shape.differs(b.shapeOf(c.plan, c.digests)); d != "" {
		return fail(errors.New("it is not the machine that was asked for: " + d))
	}
	if !h.same(c.checked) {
		return fail(&EndError{Reason: "changed", Text: "what the machine booted was written to since"})
	}
	if c.disk, err = again(h.Parts); err != nil {
		return fail(err)
	}
	m, cmd, grants := c.described(b)
	c.monitorPlan, c.machine = cmd, m
	p, err := monitorPlan(cmd, grants, m, h.Shape.Scratch, h.User)
	if err != nil {
		return fail(err)
	}
	c.ids = p.IDs
	if c.monitor, err = process.TakeOver(p, process.Handover{PID: h.PID, Answers: h.Answers, Control: control, PidFD: pidfd, Changes: dir}); err != nil {
		return err
	}
	go c.watch(func(error) {})
	conn, err := net.FileConn(channel)
	if err != nil {
		return fmt.Errorf("opening the channel to the guest: %w", err)
	}
	c.connect(conn)
	drive, err := net.FileConn(disk)
	if err != nil {
		return fmt.Errorf("opening the machine's disk: %w", err)
	}
	var ok bool
	if c.diskConn, ok = drive.(*net.UnixConn); !ok {
		drive.Close()
		return errors.New("opening the machine's disk: it is no socket")
	}
	if c.outside, err = c.monitor.Measure(ctx); err != nil {
		return fmt.Errorf("measuring the monitor's cell: %w", err)
	}
	if err := c.outside.Err(); err != nil {
		return fmt.Errorf("the monitor's cell: %w", err)
	}
	return c.stands()
}

// resume goes on where the pool stopped: the guest has greeted.
func (c *machineCell) resume(_ context.Context, b Backend, s cell.Streams) error {
	c.server = serveDisk(c.diskConn, c.disk, true)
	c.diskConn = nil
	c.host = guest.NewHostOf(c.conn, c.conn, c.plan)
	if err := c.converse(s); err != nil {
		return err
	}
	if err := c.fits(c.pooled.Hello, b); err != nil {
		return err
	}
	return c.secrets(s)
}
