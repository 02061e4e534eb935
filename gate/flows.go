package gate

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tracked is a connection of ours for one of the cell.
type tracked struct {
	net.Conn
	udp   bool
	begun time.Time
	last  atomic.Int64 // nanoseconds from begun to the last byte, on the clock that nobody sets
	abort func()
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

// abortable says how the cell's side of a flow ends at once.
func (f *flows) abortable(t *tracked, abort func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.abort = abort
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
