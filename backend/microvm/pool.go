//go:build linux && (amd64 || arm64)

package microvm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
)

// A Pool keeps machines booted that wait for cells of the same user: each is given away once, and another one is booted in its place. It
// holds no secret, and its machines know of no cell. When its process ends, however that is, those that wait end with it; those that were
// given away belong to their runs.
type Pool struct {
	Backend Backend
	Plan    *plan.Plan // of a cell like those that will come: it makes the size of the machines, and is what their guests rehearse
	Size    int
	Log     func(string) // told of what happens; nil: nobody

	mu      sync.Mutex
	ready   []*slot
	booting int
	given   int
	failed  string // why the last boot failed; "": it did not
	wake    chan struct{}
	shape   shape
}

// PoolStatus is what a pool says of itself.
type PoolStatus struct {
	PID     int      `json:"pid"`
	Size    int      `json:"size"`
	Ready   int      `json:"ready"`
	Booting int      `json:"booting"`
	Given   int      `json:"given"` // since it was started
	Ages    []string `json:"ages"`  // of those that are ready
	Monitor string   `json:"monitor"`
	Memory  uint64   `json:"memoryBytes"`
	CPUs    int      `json:"cpus"`
	Scratch uint64   `json:"scratchBytes"`
	Kernel  string   `json:"kernel"` // digest
	Failed  string   `json:"failed,omitempty"`
}

// CanWait reports why machines of a monitor cannot wait for their cell.
func CanWait(m Monitor) error {
	if m.Command(Machine{}).VhostUser {
		return errors.New("machines of " + m.Name() + " cannot wait for their cell: what serves their disk, a vhost-user device, cannot be handed over to another process")
	}
	return nil
}

// Serve keeps the pool full and gives machines away until the context ends, or somebody asks it to stop. Then the machines that wait end.
func (p *Pool) Serve(ctx context.Context, l *net.UnixListener) error {
	if err := CanWait(p.Backend.Monitor); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	p.wake = make(chan struct{}, 1)
	var work sync.WaitGroup
	defer func() {
		stop()
		work.Wait()
		p.mu.Lock()
		waiting := p.ready
		p.ready = nil
		p.mu.Unlock()
		for _, s := range waiting {
			s.end()
		}
	}()
	work.Go(func() { p.fill(ctx) })
	end := context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })
	defer end()
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for runs: %w", err)
		}
		work.Go(func() {
			defer conn.Close()
			if p.answer(conn) {
				stop()
			}
		})
	}
}

// Times between boots that fail: the first, and the longest; and between a machine that was given away and the boot of the next, so that it
// does not take a processor from the start that somebody waits for.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
	headStart  = time.Second
)

// fill boots machines, one after the other: a boot keeps a processor busy.
func (p *Pool) fill(ctx context.Context) {
	retry := retryFirst
	for {
		p.mu.Lock()
		missing := p.Size - len(p.ready)
		p.booting = min(1, max(0, missing))
		p.mu.Unlock()
		wait := time.Duration(1<<63 - 1)
		if missing > 0 {
			begin := time.Now()
			s, err := p.Backend.boot(ctx, p.Plan)
			if ctx.Err() != nil {
				if err == nil {
					s.end()
				}
				return
			}
			p.mu.Lock()
			p.booting, p.failed = 0, ""
			if err == nil {
				p.ready, p.shape = append(p.ready, s), p.Backend.shapeOf(p.Plan, s.cell.digests)
				go p.mind(s)
				retry = retryFirst
			} else {
				p.failed = guest.Clean(err.Error(), 500)
			}
			p.mu.Unlock()
			if err == nil {
				p.log("a machine is ready after %v", time.Since(begin).Round(time.Millisecond))
				continue
			}
			p.log("%v; the next try is in %v", err, retry)
			wait, retry = retry, min(2*retry, retryMost)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
			select {
			case <-ctx.Done():
				return
			case <-time.After(headStart):
			}
		case <-time.After(wait):
		}
	}
}

// mind takes a machine out that ends while it waits.
func (p *Pool) mind(s *slot) {
	<-s.quiet
	p.mu.Lock()
	i := slices.Index(p.ready, s)
	if i >= 0 {
		p.ready = slices.Delete(p.ready, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 { // else it was given away, or the pool ends
		p.log("a machine that waited has ended: %v", s.cell.explain(s.heard))
		s.end()
		p.refill()
	}
}

func (p *Pool) refill() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Pool) log(format string, a ...any) {
	if p.Log != nil {
		p.Log(fmt.Sprintf(format, a...))
	}
}

// answer hears one request, and reports whether it was to stop.
func (p *Pool) answer(conn *net.UnixConn) (stop bool) {
	conn.SetDeadline(time.Now().Add(handTime))
	if err := ours(conn); err != nil {
		p.log("refused a connection: %v", err)
		return false
	}
	var a poolAsked
	files, err := receive(conn, &a)
	closeAll(files...)
	switch {
	case err != nil:
		return false
	case a.Protocol != guest.Protocol:
		send(conn, poolAnswer{Error: fmt.Sprintf("the pool is of another version of cellos: it speaks protocol %d, and not %d", guest.Protocol, a.Protocol), Hint: "start it again"})
	case a.What == askStatus:
		send(conn, poolAnswer{Status: p.status()})
	case a.What == askStop:
		send(conn, poolAnswer{Status: p.status()})
		return true
	case a.What == askTake:
		p.give(conn, a.Want)
	}
	return false
}

// give gives the machine away that waits longest.
func (p *Pool) give(conn *net.UnixConn, want shape) {
	p.mu.Lock()
	has, failed := p.shape, p.failed
	var s *slot
	if len(p.ready) > 0 && has.differs(want) == "" {
		s, p.ready = p.ready[0], p.ready[1:]
	}
	p.mu.Unlock()
	switch {
	case s != nil:
		err := s.give(conn, has)
		p.mu.Lock()
		if err == nil {
			p.given++
		}
		p.mu.Unlock()
		if err != nil {
			p.log("%v", err)
		}
		p.refill()
	case has == shape{} && failed != "":
		send(conn, poolAnswer{Error: "it has no machine: " + failed})
	case has != shape{} && has.differs(want) != "":
		send(conn, poolAnswer{Error: "its machines are others than this cell needs: " + has.differs(want),
			Hint: "start the pool again with the sizes of the cell (--memory, --cpus, --scratch), and by the same program; --pool=prefer boots a machine where none fits"})
	default:
		send(conn, poolAnswer{Error: "none of its machines is ready", Hint: "wait for the next (cellos pool status), start a larger pool (--size), or let a machine be booted in its place: --pool=prefer"})
	}
}

func (p *Pool) status() *PoolStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &PoolStatus{PID: os.Getpid(), Size: p.Size, Ready: len(p.ready), Booting: p.booting, Given: p.given, Monitor: p.Backend.Monitor.Name(),
		Memory: p.Plan.Machine.Memory, CPUs: p.Plan.Machine.CPUs, Scratch: p.Plan.Limits.Scratch, Kernel: p.shape.Boots.Kernel, Failed: p.failed}
	for _, x := range p.ready {
		s.Ages = append(s.Ages, time.Since(x.booted).Round(time.Second).String())
	}
	return s
}
