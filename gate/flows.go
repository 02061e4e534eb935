package gate

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// tracked is a connection of ours for one of the cell.
type tracked struct {
	net.Conn
	udp   bool
	begun time.Time
	last  atomic.Int64 // nanoseconds from begun to the last byte, on the clock that nobody sets
	abort func()
	ep    tcpip.Endpoint // the cell's side; nil: none yet, or datagrams
}

func (t *tracked) touch() { t.last.Store(int64(time.Since(t.begun))) }

// idle is how long ago the last byte was.
func (t *tracked) idle() time.Duration { return time.Since(t.begun) - time.Duration(t.last.Load()) }

// flows are the connections under way.
type flows struct {
	mu   sync.Mutex
	all  map[*tracked]bool
	n    atomic.Int64 // TCP
	u    atomic.Int64 // UDP
	peak atomic.Int64
	room int64 // connections that the buffers are shared among: a power of two
}

func (f *flows) begin(t *tracked, udp bool, most int64) bool {
	n := &f.n
	if udp {
		n = &f.u
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n.Load() >= most {
		return false
	}
	if f.all == nil {
		f.all = map[*tracked]bool{}
	}
	t.udp, t.begun = udp, time.Now()
	f.all[t] = true
	n.Add(1)
	f.peak.Store(max(f.peak.Load(), f.n.Load()+f.u.Load()))
	return true
}

// connected gives a flow its connection.
func (f *flows) connected(t *tracked, c net.Conn) {
	t.touch()
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Conn = c
}

// opened gives a flow the cell's side of its connection, and its share of the buffers.
func (f *flows) opened(t *tracked, ep tcpip.Endpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.abort, t.ep = ep.Abort, ep
	if !f.share() {
		f.size(t)
	}
}

// share shares the buffers out anew among the connections there are, if these have become many more, or far fewer; true: it did.
// Precondition: f.mu is held.
func (f *flows) share() bool {
	n, was := f.n.Load(), f.room
	for f.room < n {
		f.room = max(1, 2*f.room)
	}
	for f.room > 1 && f.room >= 4*n {
		f.room /= 2
	}
	if f.room == was {
		return false
	}
	for t := range f.all {
		f.size(t)
	}
	return true
}

// size gives one connection its share. Precondition: f.mu is held.
func (f *flows) size(t *tracked) {
	if t.ep == nil {
		return
	}
	size := maxBuffers / f.room
	t.ep.SocketOptions().SetReceiveBufferSize(min(maxBuffer, max(minReceive, size)), true)
	t.ep.SocketOptions().SetSendBufferSize(min(maxBuffer, max(minSend, size)), true)
}

func (f *flows) done(c net.Conn) {
	t := c.(*tracked)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.all[t] {
		return
	}
	delete(f.all, t)
	if t.udp {
		f.u.Add(-1)
	} else {
		f.n.Add(-1)
		f.share()
	}
}

// end closes those that match.
func (f *flows) close(which func(*tracked) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for t := range f.all {
		if which(t) {
			if t.abort != nil {
				t.abort()
			}
			if t.Conn != nil {
				t.Conn.Close()
			}
		}
	}
}

func (f *flows) end() { f.close(func(*tracked) bool { return true }) }

// sweep closes what is idle, and writes what was only counted.
func (g *Gate) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-tick.C:
		}
		g.flows.close(func(t *tracked) bool { return t.Conn != nil && !t.udp && t.idle() > idleTime })
		g.journal.flush(time.Second)
	}
}
