//go:build linux && (amd64 || arm64)

// Package gvisor is the backend whose cells have a kernel of their own: gVisor's, which is a program, runsc.
//
//	f, err := gvisor.Find("", self, os.Getenv("PATH"), root)
//	prog, err := gvisor.Check(ctx, f, cache)
//	p, err := plan.ForGVisor(a, host, prog.Runsc)
//	c, err := gvisor.Backend{Program: prog}.Build(ctx, p, streams)
//
// runsc runs as the command of a cell of Linux processes, which the process backend builds: what breaks out of gVisor's kernel stands in
// a cell. The command's PID 1 is the same program as there, and is spoken to over a socket that runsc hands through. The package decides
// nothing that a plan could decide, and leaves no file on the host: the bundle, and what runsc notes, are in the outer cell's memory.
package gvisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
)

// Backend builds cells on gVisor.
type Backend struct {
	Program *Program       // runsc; stays the caller's to close
	Ahead   *process.Ahead // for the outer cell; nil: none
}

var _ cell.Backend = Backend{}

// Build builds the outer cell, measures it, and starts runsc in it. It does not wait for gVisor's kernel, Measure does.
func (b Backend) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	if b.Program == nil || p.Sandbox == nil {
		return nil, errors.New("building a cell on gVisor: the plan is for another backend")
	}
	c := &gvisorCell{plan: p, program: b.Program}
	if err := c.build(ctx, b, s); err != nil {
		c.Destroy()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return c, nil
}

// A gvisorCell is one cell.
type gvisorCell struct {
	plan    *plan.Plan
	program *Program
	outer   cell.Cell
	wall    cell.Boundary // of the outer cell
	conn    *cellinit.Conn
	said    *said // what runsc prints

	released bool          // runsc was started
	over     chan struct{} // closed when runsc has ended
	end      cell.Outcome  // then: how
	endErr   error

	started time.Time
	destroy sync.Once
	residue cell.Residue
}

func (c *gvisorCell) build(ctx context.Context, b Backend, s cell.Streams) (err error) {
	if err := b.Program.unchanged(); err != nil {
		return err
	}
	h := files{m: map[string]*os.File{plan.RunscFile: b.Program.File}}
	defer h.close()
	if c.conn, err = h.control(); err != nil {
		return err
	}
	if err := h.memory(plan.InnerInit, func() ([]byte, error) { return cellinit.Binary(c.plan.Arch) }); err != nil {
		return err
	}
	arguments := c.arguments(s.Secrets)
	defer clear(arguments) // they may have secrets
	if err := h.memory(plan.Arguments, func() ([]byte, error) { return arguments, nil }); err != nil {
		return err
	}
	if err := h.streams(s, c.plan.Boot.Terminal); err != nil {
		return err
	}
	errors, err := h.errors(c)
	if err != nil {
		return err
	}
	boot, err := process.Boot(c.plan)
	if err != nil {
		return err
	}
	if err := c.conn.Send(boot); err != nil {
		return fmt.Errorf("telling the command's first process what to do: %w", err)
	}
	c.outer, err = process.Backend{Files: h.m, Ahead: b.Ahead}.Build(ctx, c.plan.Outer(), cell.Streams{Err: errors})
	if err != nil {
		return err
	}
	if c.wall, err = c.outer.Measure(ctx); err != nil {
		return fmt.Errorf("the cell in which gVisor would run: %w", err)
	}
	if !c.wall.Holds() {
		return nil // Measure tells; nothing is started meanwhile
	}
	if err := c.outer.Release(ctx); err != nil {
		return c.startProblem(err)
	}
	c.released, c.over = true, make(chan struct{})
	go func() {
		c.end, c.endErr = c.outer.Wait()
		close(c.over)
	}()
	return nil
}

// arguments is the file from which PID 1 has the command's arguments and environment. PID 1 tells them to nobody but the command.
func (c *gvisorCell) arguments(secrets []secret.Variable) []byte {
	argv := c.plan.Sandbox.Argv
	if len(argv) == 0 {
		argv = []string{"cell"} // measured, and never released
	}
	return cellinit.ArgumentsFile(argv, c.plan.Sandbox.Env, secrets...)
}

// startProblem explains why the kernel would not execute runsc.
func (c *gvisorCell) startProblem(err error) error {
	var s *cell.StartError
	if !errors.As(err, &s) {
		return err
	}
	if s.Stage == "" {
		return &Unsuitable{c.program.Path, "executing it: " + s.Err.Error(), "its file system may be mounted noexec, or the cell's user may not execute it"}
	}
	return fmt.Errorf("starting gVisor: %s: %w", s.Stage, s.Err)
}

// files are what is handed to runsc. They are closed when the outer cell has its copies.
type files struct {
	m    map[string]*os.File
	mine []*os.File
}

func (h *files) give(name string, f *os.File) {
	h.m[name] = f
	h.mine = append(h.mine, f)
}

func (h *files) close() {
	for _, f := range h.mine {
		f.Close()
	}
}

// control makes the channel between the supervisor and the command's PID 1.
func (h *files) control() (*cellinit.Conn, error) {
	ours, theirs, err := sysabi.SocketPair()
	if err != nil {
		return nil, fmt.Errorf("making the control channel: %w", err)
	}
	h.give(plan.Inner, os.NewFile(uintptr(theirs), "control"))
	return cellinit.NewConn(ours)
}

// memory puts bytes into a sealed file in memory, open for reading only.
func (h *files) memory(name string, content func() ([]byte, error)) error {
	b, err := content()
	if err != nil {
		return err
	}
	fd, err := sysabi.SealedFile("cellos", b)
	if err != nil {
		return fmt.Errorf("making the file of %s: %w", name, err)
	}
	defer sysabi.CloseFD(fd)
	f, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return fmt.Errorf("making the file of %s: %w", name, err)
	}
	h.give(name, f)
	return nil
}

// streams gives the command its streams. One that nobody gave is /dev/null.
func (h *files) streams(s cell.Streams, terminal bool) error {
	if terminal {
		return nil
	}
	for _, x := range []struct {
		name string
		f    *os.File
	}{{plan.Input, s.In}, {plan.Output, s.Out}, {plan.Errors, s.Err}} {
		if x.f != nil {
			h.m[x.name] = x.f
			continue
		}
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("opening the cell's empty streams: %w", err)
		}
		h.give(x.name, null)
	}
	return nil
}

// errors makes the pipe on which runsc says what goes wrong: it is nothing of the command's.
func (h *files) errors(c *gvisorCell) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for what runsc says: %w", err)
	}
	h.mine = append(h.mine, w)
	c.said = listen(r)
	return w, nil
}
