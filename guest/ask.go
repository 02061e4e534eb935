package guest

import (
	"encoding/binary"
	"sync"

	"cellos.io/cellos/secret/delivery"
)

// asked are the numbers of the requests for secrets that were not answered yet.
type asked struct {
	mu      sync.Mutex
	numbers map[uint32]bool
}

// add reads ASK. A guest has no more requests under way than a socket answers at once, each with a number of its own.
func (a *asked) add(body []byte) (n uint32, line []byte, err error) {
	if len(body) < 4 || len(body)-4 > delivery.MaxRequest {
		return 0, nil, broken("ASK of %d bytes", len(body))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n = binary.LittleEndian.Uint32(body); a.numbers[n] {
		return 0, nil, broken("ASK number %d, which is not answered yet", n)
	}
	if len(a.numbers) >= delivery.MaxParallel {
		return 0, nil, broken("more than %d requests for secrets at once", delivery.MaxParallel)
	}
	if a.numbers == nil {
		a.numbers = map[uint32]bool{}
	}
	a.numbers[n] = true
	return n, body[4:], nil
}

func (a *asked) remove(n uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.numbers, n)
}

// Answer sends ANSWER, in parts: the line that answers a request for a secret; none, and there is no answer.
func (h *Host) Answer(n uint32, line []byte) error {
	h.asked.remove(n) // the guest may use the number again when it has heard the last part
	for {
		part := line[:min(len(line), MaxData)]
		line = line[len(part):]
		last := byte(0)
		if len(line) == 0 {
			last = 1
		}
		if err := h.secret(TypeAnswer, append(binary.LittleEndian.AppendUint32(nil, n), last), part); err != nil || last == 1 {
			return err
		}
	}
}

// secret sends a frame of which no copy stays.
func (h *Host) secret(t Type, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := Append(make([]byte, 0, 5+n), t, parts...)
	defer clear(b)
	return h.write(b)
}
