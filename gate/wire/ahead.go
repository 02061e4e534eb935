package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"cellos.io/cellos/evidence"
)

// Decisions that somebody waits for are written ahead: the gate puts them into a file of the run's directory, goes on, and tells the
// supervisor right behind, which puts them into the chain. So none is lost when either is killed: the supervisor reads the file when
// the gate is gone, and whoever closes the record of a dead supervisor reads it there (package record).
//
// The file is a ring of Slots slots of SlotSize bytes, each a message in JSON and blanks. The gate uses a slot again when the supervisor
// has said that what was in it is in the chain.
const (
	Slots    = 128 // more than a cell opens connections while the supervisor signs a batch of them
	SlotSize = 1 << 10
)

// ErrNoSlot says that a message does not fit.
var ErrNoSlot = errors.New("longer than a slot")

// PutAhead writes a message into its slot and returns its encoding.
func PutAhead(f io.WriterAt, m Message) ([]byte, error) {
	body, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if len(body) >= SlotSize {
		return body, ErrNoSlot
	}
	slot := bytes.Repeat([]byte{' '}, SlotSize)
	slot[copy(slot, body)] = '\n'
	_, err = f.WriteAt(slot, int64(m.Ahead%Slots)*SlotSize)
	return body, err
}

// A Decision is one that was written ahead.
type Decision struct {
	Source string
	evidence.FlowDecision
}

// ReadAhead returns what was written ahead after a number, in order. The file is not to be trusted: what is no decision on a connection
// is passed over.
func ReadAhead(f io.ReaderAt, after uint64) ([]Decision, error) {
	b := make([]byte, Slots*SlotSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("reading decisions that were written ahead: %w", err)
	}
	var found []Message
	for slot := range slices.Chunk(b[:n], SlotSize) {
		var m Message
		text, _, _ := bytes.Cut(slot, []byte{'\n'})
		if json.Unmarshal(text, &m) == nil && m.Kind == Event && m.Ahead > after {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b Message) int { return cmp.Compare(a.Ahead, b.Ahead) })
	var list []Decision
	for _, m := range found {
		if p, err := m.Event(); err == nil {
			if d, ok := p.(evidence.FlowDecision); ok {
				list = append(list, Decision{m.Source, d})
			}
		}
	}
	return list, nil
}
