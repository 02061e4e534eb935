package gate

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// A link that loses packets and swaps them, both ways, is slower and no worse.
func TestLossAndReorder(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			c := newCell(t, false, echoServer(t), echo)
			c.disturb(seed, 20)
			conn, err := c.dial(t, "echo.example", 7)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			sent := make([]byte, 200<<10)
			for i := range sent {
				sent[i] = byte(i * 7)
			}
			go conn.Write(sent)
			got := make([]byte, len(sent))
			if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d of %d bytes came back: %v", n, len(sent), err)
			}
			if got := c.rec.flows(true); len(got) != 1 {
				t.Errorf("one connection was decided on %d times", len(got))
			}
		})
	}
}

func (c *cell) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lose()
}

// send gives the gate a packet, unless it is lost, or the next one goes first.
func (c *cell) send(b []byte) {
	if c.seen != nil {
		c.seen(b)
	}
	if c.lost() {
		return
	}
	if c.keep != nil {
		select {
		case c.keep <- append([]byte(nil), b...):
			time.AfterFunc(lateBy, func() {
				select {
				case late := <-c.keep:
					c.link.Write(late)
				default:
				}
			})
			return
		case late := <-c.keep:
			c.link.Write(b)
			b = late
		}
	}
	c.link.Write(b)
}

// lateBy is how long a packet is kept back for the next one to overtake it.
const lateBy = 2 * time.Millisecond

// disturb has one packet of n lost, in both directions, and others come out of order.
func (c *cell) disturb(seed uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 0))
	c.keep = make(chan []byte, 1)
	c.lose = func() bool { return r.IntN(n) == 0 }
}
