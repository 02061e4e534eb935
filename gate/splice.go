package gate

import (
	"errors"
	"io"
	"net/netip"
	"sync/atomic"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"cellos.io/cellos/evidence"
)

// A tcpFlow is a connection of the cell and ours beyond it.
type tcpFlow struct {
	gate *Gate
	to   *target
	rule *rule
	cell *gonet.TCPConn
	ep   tcpip.Endpoint
	wq   *waiter.Queue
	src  *cellSource // what cell sends
	up   *tracked
	down chan struct{} // closed when nothing more comes from upstream

	answering atomic.Bool // the gate itself has something to say at the end
}

// run checks the name and splices. It returns when both directions have ended.
func (f *tcpFlow) run() {
	defer f.up.Conn.Close()
	defer f.cell.Close()
	f.src = f.gate.cellSource(f.ep, f.wq)
	defer f.src.end()
	f.down = make(chan struct{})
	err := f.check()
	if err != nil {
		f.ep.Abort() // RST: nothing that was sent is to be taken for an answer
		return
	}
	if c, ok := f.up.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	<-f.down
}

// gone waits until the cell has taken the last of what was sent to it, or its end is no more. Until then the connection counts among the
// cell's: what the stack keeps for it is memory.
func (f *tcpFlow) gone() {
	entry, ended := waiter.NewChannelEntry(waiter.EventHUp | waiter.EventErr)
	f.wq.EventRegister(&entry)
	defer f.wq.EventUnregister(&entry)
	for {
		switch tcp.EndpointState(f.ep.State()) {
		case tcp.StateTimeWait, tcp.StateClose, tcp.StateError:
			return
		}
		<-ended
	}
}

// fromUpstream passes on what upstream sends. It may begin only once what the cell says has been checked, or need not be.
func (f *tcpFlow) fromUpstream() {
	defer close(f.down)
	err := f.copy(f.cell, f.gate.upstreamSource(f.up.Conn), f.rule.in)
	if err != nil && !f.answering.Load() {
		f.ep.Abort()
		f.up.Conn.Close()
		return
	}
	if !f.answering.Load() {
		f.cell.CloseWrite()
	}
}

// toUpstream passes on what the cell sends.
func (f *tcpFlow) toUpstream(first []byte) error {
	if err := f.send(first); err != nil {
		return err
	}
	if c, ok := f.up.Conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return f.straight(raw)
		}
	}
	return f.copy(f.up.Conn, f.src, f.rule.out)
}

// send passes bytes on that were read for a check.
func (f *tcpFlow) send(b []byte) error {
	n, err := f.rule.out(len(b))
	if _, werr := f.up.Conn.Write(b[:n]); werr != nil {
		return werr
	}
	return f.spent(err)
}

// spent writes that a budget is used up, once for the connection.
func (f *tcpFlow) spent(err error) error {
	if errors.Is(err, errBudget) {
		f.gate.journal.refuse(verdict{f.to, f.rule, evidence.FlowBudget, f.rule.ref}, false, netip.AddrPortFrom(f.to.addr, f.rule.Port), "bytes", netip.Addr{})
		f.gate.exceeded(f.rule)
	}
	return err
}

// copy passes bytes on and takes them from the budget before they are. The end of the source is no error.
func (f *tcpFlow) copy(dst io.Writer, src source, take func(int) (int, error)) error {
	for {
		p, n, err := src.next()
		if n > 0 {
			f.up.touch()
			m, terr := take(n)
			_, werr := dst.Write((*p)[:m])
			putBuffer(p)
			if werr != nil {
				return werr
			}
			if terr != nil {
				return f.spent(terr)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
