//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
)

// A slot is a machine that was booted and waits: its guest has greeted and rehearsed, and knows nothing of any cell. It is given away once,
// or ended.
type slot struct {
	cell   *machineCell
	booted time.Time
	quiet  chan struct{} // closed when nobody listens for the guest any more
	heard  error         // why; read after quiet
}

// noCommand is the command of a rehearsal: no cell has such a file, so that nothing runs.
const noCommand = "/.rehearsed"

// boot boots a machine for nobody, and has its guest rehearse the plan.
func (b Backend) boot(ctx context.Context, p *plan.Plan) (_ *slot, err error) {
	c := b.newCell(p)
	c.disk = &disk{}
	defer func() {
		if err != nil {
			c.Destroy()
			err = fmt.Errorf("booting a machine for the pool: %w", err)
		}
	}()
	if err := c.boots(ctx, b); err != nil {
		return nil, err
	}
	at := time.Now()
	if err := c.files(ctx, b); err != nil {
		return nil, err
	}
	b.phase("images", at)
	ctx, cancel := untilHello(ctx, b)
	defer cancel()
	if err := c.launch(ctx, b); err != nil {
		return nil, err
	}
	host := c.host
	c.host = nil // nobody listens but this function
	life := context.AfterFunc(ctx, c.hangUp)
	hello, err := host.Next()
	if err == nil {
		err = c.fits(hello.Hello, b)
	}
	if err == nil {
		known := c.config()
		// The rehearsed cell has an empty working directory. So that there is an overlay as well, one lies over /etc, which every tree has.
		known.Work = guest.Work{Path: []byte("/etc"), Overlay: true, Size: 1 << 20}
		known.Plan.Candidates = [][]byte{[]byte(noCommand)}
		err = host.Prepare(known)
	}
	if err == nil {
		var ready guest.Event
		if ready, err = host.Next(); err == nil && ready.Type != guest.TypePrepared {
			err = &EndError{Reason: "guest_error", Text: ready.Text}
		}
	}
	if err == nil {
		err = c.stands()
	}
	if !life() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, c.explain(err)
	}
	s := &slot{cell: c, booted: time.Now(), quiet: make(chan struct{})}
	go s.listen()
	return s, nil
}

// listen notices the end of the guest. It says nothing while it waits; whatever it says is its end.
func (s *slot) listen() {
	defer close(s.quiet)
	var b [1]byte
	n, err := s.cell.conn.Read(b[:])
	if n > 0 {
		err = errors.New("the guest says something although nobody asked")
	}
	s.heard = err
}

// give sends the machine to a run, and lets go of it. Whatever the error, it is no slot any more.
func (s *slot) give(to *net.UnixConn, with shape) error {
	c := s.cell
	h, left, err := s.handed(with)
	if err == nil {
		err = send(to, poolAnswer{Machine: h}, h.files...)
		closeAll(h.copies...)
	}
	if err != nil {
		closeAll(left.PidFD)
		c.Destroy()
		return fmt.Errorf("handing a machine over: %w", err)
	}
	// The run waits for the end of this connection: from then on it alone holds the machine.
	process.Leave(c.monitor, left)
	c.conn.Close()
	c.server.conn.Close()
	closeAll(c.console.file)
	c.monitor = nil // nothing of it is ended here
	c.console = nil
	c.Destroy()
	return nil
}

// handed stops everything that this process does for the machine, and says what there is of it.
func (s *slot) handed(with shape) (*handed, process.Handover, error) {
	c := s.cell
	c.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.quiet
	if !errors.Is(s.heard, os.ErrDeadlineExceeded) {
		return nil, process.Handover{}, c.explain(s.heard)
	}
	c.mu.Lock()
	c.given = true
	gone := c.gone
	c.mu.Unlock()
	if gone {
		return nil, process.Handover{}, errors.New("the monitor has ended")
	}
	left, err := process.HandOver(c.monitor)
	if err != nil {
		return nil, left, err
	}
	<-c.left
	if err := c.server.pause(); err != nil {
		return nil, left, err
	}
	c.console.pause()
	channel, ok := c.conn.(*net.UnixConn)
	if !ok {
		return nil, left, errors.New("its channel is no socket")
	}
	h := &handed{Shape: with, Waited: time.Since(s.booted), PID: left.PID, User: c.ids.HostUID, Answers: left.Answers, Hello: c.hello, Parts: c.disk.parts,
		Console: []byte(c.console.text()), Pool: os.Getpid()}
	for _, x := range c.checked[:bootFiles] {
		h.Times = append(h.Times, x.time)
	}
	channelFile, err := channel.File()
	if err != nil {
		return nil, left, err
	}
	diskFile, err := c.server.conn.File()
	if err != nil {
		channelFile.Close()
		return nil, left, err
	}
	h.copies = []*os.File{channelFile, diskFile}
	h.files = append(append(left.Files(), c.console.file), h.copies...)
	return h, left, nil
}

// end ends a machine that nobody took.
func (s *slot) end() { s.cell.Destroy() }
