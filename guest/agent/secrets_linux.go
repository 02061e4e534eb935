//go:build linux && (amd64 || arm64)

package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret/delivery"
)

// asks are the command's requests for secrets: what comes on the socket goes to the host, which has them answered.
type asks struct {
	m      *machine
	server *delivery.Server

	started chan struct{} // closed when STARTED was said: no ASK comes before

	mu      sync.Mutex
	next    uint32
	waiting map[uint32]*ask
	held    int // bytes of answers
	closed  bool
}

// An ask waits for its answer.
type ask struct {
	line []byte // as far as it has come; nil, and it gets none
	drop bool
	done chan struct{} // closed when all of it is there
}

// maxHeld bounds the answers that a machine holds for readers that are slow, in bytes: two of the largest kind. A request whose answer has no
// room gets none.
const maxHeld = 16 << 20

// listenForAsks makes the socket, if the plan has one.
func (m *machine) listenForAsks(c guest.Config, p *plan.Plan) (*asks, error) {
	if !c.Asks {
		return nil, nil
	}
	a := &asks{m: m, started: make(chan struct{}), waiting: map[uint32]*ask{}}
	socket := filepath.Join(plan.GuestSecrets, delivery.SocketName)
	err := os.Chown(plan.GuestSecrets, int(c.UID), int(c.GID))
	if err == nil {
		a.server, err = delivery.Listen(socket, p.IDs.HostUID, a.answer)
	}
	if err == nil {
		err = os.Chown(socket, int(c.UID), int(c.GID))
	}
	if err != nil {
		return nil, fmt.Errorf("making the socket of the secrets: %w", err)
	}
	return a, nil
}

// answer has the host answer one request. It waits as long as the host does, which is delivery.RequestTime at the most: the host counts
// a request until it has answered it.
func (a *asks) answer(ctx context.Context, line []byte, to io.Writer) {
	<-a.started
	a.mu.Lock()
	if a.closed || len(line) > delivery.MaxRequest {
		a.mu.Unlock()
		return
	}
	a.next++
	x := &ask{done: make(chan struct{})}
	a.waiting[a.next] = x
	err := a.m.send(guest.TypeAsk, binary.LittleEndian.AppendUint32(nil, a.next), line) // under the lock: none follows close
	a.mu.Unlock()
	if err != nil {
		return
	}
	<-x.done
	to.Write(x.line)
	a.mu.Lock()
	a.held -= len(x.line)
	a.mu.Unlock()
	clear(x.line)
}

// hear takes ANSWER, or a part of it. False: it is none.
func (a *asks) hear(b []byte) bool {
	if a == nil || len(b) < 5 {
		return false
	}
	n, last, part := binary.LittleEndian.Uint32(b), b[4] == 1, b[5:]
	a.mu.Lock()
	defer a.mu.Unlock()
	x := a.waiting[n]
	if x == nil {
		return true // the command has ended meanwhile
	}
	if a.held+len(part) > maxHeld {
		a.held -= len(x.line)
		x.line, x.drop = nil, true
	}
	if !x.drop {
		x.line = append(x.line, part...)
		a.held += len(part)
	}
	if last {
		delete(a.waiting, n)
		close(x.done)
	}
	return true
}

// begin lets requests pass. Nil has none.
func (a *asks) begin() {
	if a != nil {
		close(a.started)
	}
}

// close ends the requests: the command has ended, and nobody reads the answers. Nil has none.
func (a *asks) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	a.closed = true
	for n, x := range a.waiting {
		x.line, x.drop = nil, true
		delete(a.waiting, n)
		close(x.done)
	}
	a.mu.Unlock()
	a.server.Close()
}
