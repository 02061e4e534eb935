//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"context"
	"sync"
)

// asked are the requests for secrets that the guest passed on. Package guest bounds how many there are.
type asked struct {
	answer func(ctx context.Context, line []byte) []byte // nil: none gets an answer
	all    sync.WaitGroup
	ctx    context.Context // ends with the cell
	cancel context.CancelFunc
}

// ask has a request answered, while the guest is heard on.
func (c *machineCell) ask(n uint32, line []byte) {
	line = bytes.Clone(line)
	c.asked.all.Go(func() {
		var answer []byte
		if c.asked.answer != nil {
			answer = c.asked.answer(c.asked.ctx, line)
		}
		clear(line) // it has the token
		c.host.Answer(n, answer)
		clear(answer)
	})
}
