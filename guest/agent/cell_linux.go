//go:build linux && (amd64 || arm64)

package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
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
	asks, err := m.listenForAsks(c, p)
	if err != nil {
		return err
	}
	s.cell.Secrets = secrets
	built, err := build(c, p, s.cell, m.refused)
	s.closeInner()
	for _, v := range secrets {
		v.Value.Wipe()
	}
	if err != nil {
		return err
	}
	lap(2)
	ctx := context.Background()
	l := &life{m: m, cell: built, asks: asks, released: make(chan struct{}), opened: make(chan struct{}), outputs: map[guest.Type]*outgoing{}}
	l.openLink()
	m.acked = make(chan struct{})
	go l.hear()
	b, err := built.Measure(ctx)
	if err != nil {
		return err
	}
	lap(3)
	l.open(s) // measuring took the terminal over
	if err := m.say(guest.TypeReady, ready(b, m.took)); err != nil {
		return err
	}
	kills := oomKills() // while the host looks at READY
	select {
	case <-l.released:
	case <-m.acked:
		return errors.New("waiting for the release: the host wants no more")
	}
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
	asks.begin()
	var outputs sync.WaitGroup
	for _, o := range l.outputs {
		outputs.Go(func() { o.pump(m) })
	}
	o, err := built.Wait()
	if err != nil {
		return err
	}
	asks.close()
	outputs.Wait()
	end := guest.Exit{Code: o.Code, Signal: o.Signal, Duration: o.Duration, User: o.User, System: o.System, MaxRSS: o.MaxRSS, Read: o.Read, Written: o.Written,
		Tasks: o.Tasks, OOMKills: max(0, oomKills()-kills)}
	if err := m.send(guest.TypeExit, end.Append(nil)); err != nil {
		return err
	}
	if err := m.changes(c, built); err != nil {
		return fmt.Errorf("sending what changed: %w", err)
	}
	<-m.acked
	return nil
}

// build has the cell built by a thread that is the cell's user already: the machine's root would have the owner of every file mapped,
// which an overlay cannot do, and has no need to, because the images were made with the cell's ids.
func build(c guest.Config, p *plan.Plan, s cell.Streams, calls func(cell.Call)) (cell.Cell, error) {
	return onThread(func() (cell.Cell, error) { return buildAs(c, p, s, calls) })
}

// onThread does something in a thread that ends with it.
func onThread(f func() (cell.Cell, error)) (cell.Cell, error) {
	type result struct {
		c   cell.Cell
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		c, err := f()
		done <- result{c, err}
	}()
	r := <-done
	return r.c, r.err
}

// buildAs makes the calling thread the cell's user for good, and builds the cell.
func buildAs(c guest.Config, p *plan.Plan, s cell.Streams, calls func(cell.Call)) (cell.Cell, error) {
	if err := sysabi.BecomeOnThread(c.UID, c.GID); err != nil {
		return nil, fmt.Errorf("becoming the cell's user: %w", err)
	}
	if err := sysabi.SetTimerSlack(usual); err != nil { // the cell has that of the thread which makes it
		return nil, err
	}
	// Changing credentials clears the flag, without which a child that shares this memory cannot write its own identity maps.
	if err := sysabi.SetDumpable(1); err != nil {
		return nil, err
	}
	return process.Backend{Calls: calls}.Build(context.Background(), p, s)
}

// refused tells the host of a call that is being refused, which waits for that.
func (m *machine) refused(c cell.Call) {
	if c.Verdict != seccomp.Allow {
		m.send(guest.TypeRefused, guest.AppendRefused(nil, c))
	}
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

// close closes our ends.
func (s streams) close() {
	for _, f := range []*os.File{s.in, s.out, s.err} {
		if f != nil {
			f.Close()
		}
	}
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
