package guest

import (
	"io"

	"cellos.io/cellos/plan"
)

// Prepared says that a machine rehearsed, and waits: the drives of PREPARE are mounted, a cell was built and measured in a file tree of its
// own, and is gone. Nothing was released in it.
type Prepared struct {
	Took float64 `json:"took"` // milliseconds
}

// Prepare sends PREPARE, before CONFIG: a machine that waits for its cell gets ready for what every cell has.
func (h *Host) Prepare(c Config) error {
	b, err := c.Frames(TypePrepare)
	if err != nil {
		return err
	}
	h.rehearsing.Store(true)
	return h.write(b)
}

// NewHostOf returns the host's end of a conversation that another process began: HELLO was heard, and PREPARED if it was asked for.
func NewHostOf(r io.Reader, w io.Writer, p *plan.Plan) *Host {
	h := NewHost(r, w, p)
	h.state = wantReady
	return h
}
