//go:build linux && (amd64 || arm64)

package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
)

// cell builds the cell, and stays with it to its end.
func (m *machine) cell(c guest.Config, secrets []secret.Variable, lap func(int)) error {
	p := c.Plan.Unpack()
	s, err := pipes(c, p)
	if err != nil {
		return err
	}
	s.cell.Secrets = secrets
	built, err := build(c, p, s.cell)
	s.closeInner()
	for _, v := range secrets {
		v.Value.Wipe()
	}
	if err != nil {
		return err
	}
	lap(2)
	ctx := context.Background()
	b, err := built.Measure(ctx)
	if err != nil {
		return err
	}
	lap(3)
	if err := m.say(guest.TypeReady, ready(b, m.took)); err != nil {
		return err
	}
	for {
		t, b, err := m.frames.Next()
		if err != nil || t != guest.TypeRelease && t != guest.TypeResize {
			return fmt.Errorf("waiting for the release: %v, %v", t, err)
		}
		if t == guest.TypeRelease {
			break
		}
		resize(built, b)
	}
	kills := oomKills()
	if err := built.Release(ctx); err != nil {
		var start *cell.StartError
		if errors.As(err, &start) {
			var errno sysabi.Errno
			errors.As(start.Err, &errno)
			if err := m.say(guest.TypeFailed, guest.Failed{Path: []byte(start.Path), Stage: start.Stage, Errno: int(errno)}); err != nil {
				return err
			}
			m.awaitAck()
			return nil
		}
		return err
	}
	if err := m.send(guest.TypeStarted, binary.LittleEndian.AppendUint32(nil, 2)); err != nil {
		return err
	}
	acked := make(chan struct{})
	in := newInput(m, s.in, built.Terminal())
	go m.hear(built, in, s, acked)
	var outputs sync.WaitGroup
	if t := built.Terminal(); t != nil {
		outputs.Go(func() { m.pump(guest.TypeStdout, t) })
	}
	if s.out != nil {
		outputs.Go(func() { m.pump(guest.TypeStdout, s.out) })
	}
	if s.err != nil {
		outputs.Go(func() { m.pump(guest.TypeStderr, s.err) })
	}
	o, err := built.Wait()
	if err != nil {
		return err
	}
	outputs.Wait()
	end := guest.Exit{Code: o.Code, Signal: o.Signal, Duration: o.Duration, User: o.User, System: o.System, MaxRSS: o.MaxRSS, Read: o.Read, Written: o.Written,
		Tasks: o.Tasks, OOMKills: max(0, oomKills()-kills)}
	if err := m.send(guest.TypeExit, end.Append(nil)); err != nil {
		return err
	}
	if err := m.changes(c, built); err != nil {
		return fmt.Errorf("sending what changed: %w", err)
	}
	<-acked
	return nil
}

// build has the cell built by a thread that is the cell's user already: the machine's root would have the owner of every file mapped,
// which an overlay cannot do, and has no need to, because the images were made with the cell's ids.
func build(c guest.Config, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	type result struct {
		c   cell.Cell
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		if err := sysabi.BecomeOnThread(c.UID, c.GID); err != nil {
			done <- result{nil, fmt.Errorf("becoming the cell's user: %w", err)}
			return
		}
		// Changing credentials clears the flag, without which a child that shares this memory cannot write its own identity maps.
		if err := sysabi.SetDumpable(1); err != nil {
			done <- result{nil, err}
			return
		}
		built, err := process.Backend{}.Build(context.Background(), p, s)
		done <- result{built, err}
	}()
	r := <-done
	return r.c, r.err
}

func ready(b cell.Boundary, took [4]float64) guest.Ready {
	r := guest.Ready{Took: took, Caps: [5]uint64{b.Caps.Inheritable, b.Caps.Permitted, b.Caps.Effective, b.Caps.Bounding, b.Caps.Ambient}}
	for _, p := range b.Probes {
		r.Probes = append(r.Probes, p.Got)
	}
	for _, l := range b.Layers {
		r.Layers = append(r.Layers, guest.Layer{Name: l.Name, Saw: l.Outside, Holds: l.Holds})
	}
	return r
}

// pump sends an output until its last writer is gone.
func (m *machine) pump(t guest.Type, f io.Reader) {
	buf := make([]byte, guest.MaxData)
	for {
		n, err := f.Read(buf)
		if n > 0 && m.send(t, buf[:n]) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

// hear does what the host says, until it wants no more.
func (m *machine) hear(c cell.Cell, in *input, s streams, acked chan<- struct{}) {
	defer close(acked)
	for {
		t, b, err := m.frames.Next()
		switch {
		case err != nil, t == guest.TypeAck:
			return
		case t == guest.TypeSignal && len(b) == 2:
			c.Signal(int(b[0]), b[1] == 1)
		case t == guest.TypeStdin:
			in.add(b)
		case t == guest.TypeEOF:
			in.add(nil)
		case t == guest.TypeClosed && len(b) == 1:
			if f := map[guest.Type]*os.File{guest.TypeStdout: s.out, guest.TypeStderr: s.err}[guest.Type(b[0])]; f != nil {
				f.Close()
			}
		case t == guest.TypeResize:
			resize(c, b)
		case t == guest.TypePing:
			m.send(guest.TypePong)
		case t == guest.TypeExport:
			if m.export(c, string(b)) != nil {
				return
			}
		default:
			return
		}
	}
}

// resize sets the size of the command's terminal, if it has one.
func resize(c cell.Cell, b []byte) {
	if t := c.Terminal(); t != nil && len(b) == 4 {
		t.Resize(binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]))
	}
}

// An input passes standard input on, as fast as the command takes it.
type input struct {
	chunks chan []byte // room for the whole window, so that adding never waits
}

func newInput(m *machine, pipe *os.File, terminal cell.Terminal) *input {
	in := &input{chunks: make(chan []byte, guest.Window+1)}
	var to io.Writer
	if pipe != nil {
		to = pipe
	}
	if terminal != nil {
		to = terminal
	}
	go func() {
		for b := range in.chunks {
			if b == nil {
				if pipe != nil {
					pipe.Close()
				}
				return
			}
			if to != nil {
				to.Write(b) // a reader that is gone takes everything
			}
			m.send(guest.TypeCredit, binary.LittleEndian.AppendUint32(nil, uint32(len(b))))
		}
	}()
	return in
}

func (in *input) add(b []byte) {
	select {
	case in.chunks <- bytes.Clone(b):
	default: // a host that keeps to the window never comes here
	}
}

// streams are the command's standard streams and our ends of them.
type streams struct {
	cell         cell.Streams
	in, out, err *os.File
}

func pipes(c guest.Config, p *plan.Plan) (s streams, err error) {
	if p.Boot.Terminal {
		return s, nil
	}
	if c.Stdin {
		if s.cell.In, s.in, err = os.Pipe(); err != nil {
			return s, err
		}
	}
	if s.out, s.cell.Out, err = os.Pipe(); err != nil {
		return s, err
	}
	s.cell.Err = s.cell.Out
	if !c.Output {
		if s.err, s.cell.Err, err = os.Pipe(); err != nil {
			return s, err
		}
	}
	for _, f := range []*os.File{s.cell.In, s.cell.Out, s.cell.Err} {
		if f != nil {
			if err := f.Chown(int(c.UID), int(c.GID)); err != nil { // so that it can open /dev/stdout
				return s, err
			}
		}
	}
	return s, nil
}

func (s streams) closeInner() {
	for _, f := range []*os.File{s.cell.In, s.cell.Out, s.cell.Err} {
		if f != nil {
			f.Close()
		}
	}
}

// oomKills is how often the machine's kernel ended a process for want of memory.
func oomKills() int64 {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	_, rest, ok := bytes.Cut(b, []byte("\noom_kill "))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
