package gate

import "sync"

// hands are goroutines that are used again: the way through a TCP/IP stack is deep, and a goroutine that has gone it once has the stack for
// it. New ones grow it step by step, which was a sixth of the processor time of a short connection.
type hands struct {
	work  chan func()
	done  chan struct{}
	once  *sync.Once
	spare chan struct{} // as many as may wait for work
}

const spareHands = 32

func newHands() hands {
	return hands{make(chan func()), make(chan struct{}), new(sync.Once), make(chan struct{}, spareHands)}
}

// do runs f, on a goroutine that waits or on a new one, and returns at once.
func (h *hands) do(f func()) {
	select {
	case h.work <- f:
	default:
		go h.run(f)
	}
}

func (h *hands) run(f func()) {
	for {
		f()
		select {
		case h.spare <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-h.work:
			<-h.spare
		case <-h.done:
			return
		}
	}
}

// end lets those that wait go. What they do is not interrupted. It is safe to call twice.
func (h *hands) end() { h.once.Do(func() { close(h.done) }) }
