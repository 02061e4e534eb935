//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A machineCell is one cell in one machine.
type machineCell struct {
	plan    *plan.Plan
	backend Backend

	images  []*image.Image // initrd, then the drives
	initrd  *image.Image
	kernel  *os.File
	program *os.File // of the monitor
	checked []checkedFile
	machine Machine
	digests Digests
	drives  []guest.Drive

	disk     *disk         // of a machine that was booted before its images were known; nil: each is a drive
	parts    []guest.Part  // of it, that the guest is to be told of
	diskConn *net.UnixConn // of a disk that is not served yet
	server   *diskServer
	pooled   *handed // a machine of a pool, as it was handed over; nil: it was booted for this cell

	view     *image.View
	listener net.Listener  // for the monitor's connection to the view
	client   net.Conn      // the connection
	served   chan struct{} // closed when nobody reads the view any more

	monitor     cell.Cell
	ids         plan.IDs // of the monitor
	monitorPlan Command
	outside     cell.Boundary // of the monitor's cell
	console     *console
	conn        net.Conn
	host        *guest.Host
	hello       guest.Hello
	learning    bool // only the greeting is wanted

	room         *room
	terminal     *machineTerminal // nil: the plan has none
	outputs      [2]*output       // standard output and error
	link         link
	asked        asked
	life         *watchdog // nil until the command is released
	export       export
	in, out, err *os.File // copies of the command's streams
	started      time.Time
	changed      *unpacker

	left   chan struct{}    // closed when the monitor has ended
	events chan guest.Event // what the guest said, but for its streams; room for all that it can say
	heard  error            // why listening ended; read after over
	over   chan struct{}    // closed when listening has ended

	mu       sync.Mutex
	gone     bool   // the monitor has ended
	given    bool   // another process has the machine
	goneText string // how
	outcome  cell.Outcome

	destroy sync.Once
	residue cell.Residue
}

// listen hears the guest out. It ends with the connection, and the connection with the monitor.
func (c *machineCell) listen() {
	defer close(c.over)
	defer c.export.end(io.ErrUnexpectedEOF)
	for {
		c.life.listening()
		e, err := c.host.Next()
		c.life.heard()
		if err != nil {
			c.heard = err
			return
		}
		switch e.Type {
		case guest.TypePong:
		case guest.TypeFile, guest.TypeData:
			c.export.hear(e)
		case guest.TypeStdout, guest.TypeStderr:
			c.outputs[e.Type-guest.TypeStdout].put(e.Data)
		case guest.TypeLeave:
			c.leave(e.Data)
		case guest.TypeRefused:
			if c.backend.Calls != nil {
				c.backend.Calls(e.Call)
			}
		case guest.TypeAsk:
			c.ask(e.Number, e.Data)
		case guest.TypeCredit:
			c.room.add(e.Credit)
		case guest.TypeChanges:
			err := c.changed.add(e.Data, e.Last)
			if err != nil {
				c.heard = err
				return
			}
			if e.Last {
				c.events <- guest.Event{Type: guest.TypeChanges}
			}
		case guest.TypeError:
			c.heard = &EndError{Reason: "guest_error", Text: e.Text}
			return
		default:
			if e.Type == guest.TypeExit {
				// Everything that it wrote has come before: whoever reads sees the end now, as when a process ends.
				for _, o := range c.outputs {
					o.finish()
				}
				c.closeOutputs()
				c.changed = newUnpacker(c.plan, c.monitor.Changes(), c.ids)
			}
			c.events <- e
		}
	}
}

// await waits for one message of the guest.
func (c *machineCell) await(ctx context.Context, types ...guest.Type) (guest.Event, error) {
	select {
	case e := <-c.events:
		for _, t := range types {
			if e.Type == t {
				return e, nil
			}
		}
		return guest.Event{}, &EndError{Reason: "protocol", Text: fmt.Sprintf("the guest says %v", e.Type)}
	case <-c.over:
		return guest.Event{}, c.explain(c.heard)
	case <-ctx.Done():
		return guest.Event{}, context.Cause(ctx)
	}
}

// connect keeps the channel; where the monitor has ended meanwhile it is at its end.
func (c *machineCell) connect(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	if c.gone {
		conn.Close()
	}
}

// watch notices the end of the monitor, and tells whoever waits for it to start.
func (c *machineCell) watch(tell context.CancelCauseFunc) {
	defer close(c.left)
	o, err := c.monitor.Wait()
	c.mu.Lock()
	if c.given {
		c.mu.Unlock()
		return
	}
	c.gone = true
	switch {
	case err != nil:
		c.goneText = err.Error()
	case o.Signal != 0:
		c.goneText = fmt.Sprintf("the monitor was ended by signal %d", o.Signal)
	default:
		c.goneText = fmt.Sprintf("the monitor ended with status %d", o.Code)
	}
	conn := c.conn
	c.mu.Unlock()
	tell(io.EOF) // as from a socket of the monitor's
	if conn != nil {
		conn.Close() // what it sent before was either read or is lost with it
	}
}

// Measure has the cell built in the guest, and joins what it says with what the host sees.
func (c *machineCell) Measure(ctx context.Context) (cell.Boundary, error) {
	if err := c.host.Configure(c.config()); err != nil {
		return cell.Boundary{}, fmt.Errorf("telling the guest what to build: %w", c.explain(err))
	}
	at := time.Now()
	ctx, cancel := c.backend.bounded(ctx, "built no cell")
	defer cancel()
	e, err := c.await(ctx, guest.TypeReady)
	if err != nil {
		return cell.Boundary{}, fmt.Errorf("building the cell in the guest: %w", err)
	}
	c.backend.phase("cell in the guest", at)
	b := c.boundary(e.Ready)
	if err := c.stands(); err != nil {
		return b, err
	}
	return b, nil
}

// Release starts the command.
func (c *machineCell) Release(ctx context.Context) error {
	c.started = time.Now()
	if err := c.terminal.release(c.host); err != nil {
		return fmt.Errorf("releasing the command: %w", c.explain(err))
	}
	ctx, cancel := c.backend.bounded(ctx, "did not start the command")
	defer cancel()
	if err := c.host.Release(); err != nil {
		return fmt.Errorf("releasing the command: %w", c.explain(err))
	}
	e, err := c.await(ctx, guest.TypeStarted, guest.TypeFailed)
	if err != nil {
		return fmt.Errorf("releasing the command: %w", err)
	}
	if e.Type == guest.TypeFailed {
		c.host.Acknowledge()
		return &cell.StartError{Path: guest.Clean(string(e.Failed.Path), guest.MaxText), Stage: e.Failed.Stage, Err: e.Failed.Err()}
	}
	c.life.start(c)
	if c.in != nil {
		go c.input()
	}
	return nil
}

// Signal tells the guest to send a signal.
func (c *machineCell) Signal(n int, every bool) error {
	if err := c.host.Signal(n, every); err != nil {
		return fmt.Errorf("sending signal %d into the cell: %w", n, err)
	}
	return nil
}

// Wait returns when the command has ended and the guest has sent what changed.
func (c *machineCell) Wait() (cell.Outcome, error) {
	ctx := context.Background()
	e, err := c.await(ctx, guest.TypeExit)
	if err == nil {
		c.outcome = e.Exit.Outcome()
		c.outcome.Started = c.started
		if n := e.Exit.OOMKills; n > 0 {
			c.outcome.Group = &cell.Usage{Memory: c.plan.Machine.Memory, OOMKills: uint64(n), Claimed: true}
		}
		_, err = c.await(ctx, guest.TypeChanges)
		if err != nil || !c.plan.Exports {
			c.life.stop()
			c.host.Acknowledge()
		}
		if err == nil {
			return c.outcome, nil
		}
	}
	// Nobody but the guest knows how the command ended, and it did not say, or not all.
	return cell.Outcome{Code: -1, Signal: sysabi.SIGKILL, Started: c.started, Duration: time.Since(c.started)}, fmt.Errorf("waiting for the command: %w", err)
}

// Changes is the folder into which the guest's changes were unpacked.
func (c *machineCell) Changes() *os.File {
	if c.changed == nil {
		return nil
	}
	return c.changed.dir
}

// PID is the host's number of the first process of the monitor's cell.
func (c *machineCell) PID() int {
	if c.monitor == nil {
		return 0
	}
	return c.monitor.PID()
}
