package httpsink

import (
	"bytes"
	"context"
)

// Events is a delivery.Transport that posts CloudEvents.
type Events struct {
	*Client
	Batch bool // many events in one request; else each in its own
}

// maxBatch bounds a request in batched mode, in events and in bytes.
const (
	maxBatch      = 100
	maxBatchBytes = 1 << 20
)

// Deliver posts lines.
func (e Events) Deliver(ctx context.Context, lines [][]byte) (n int, err error) {
	for n < len(lines) {
		some := 1
		if e.Batch {
			some = part(lines[n:])
		}
		if err := e.send(ctx, lines[n:n+some]); err != nil {
			return n, err
		}
		n += some
	}
	return n, nil
}

// part is how many lines go into one request.
func part(lines [][]byte) int {
	n, size := 0, 0
	for n < len(lines) && n < maxBatch && (n == 0 || size+len(lines[n]) <= maxBatchBytes) {
		size += len(lines[n])
		n++
	}
	return n
}

func (e Events) send(ctx context.Context, lines [][]byte) error {
	if !e.Batch {
		_, err := e.post(ctx, "application/cloudevents+json; charset=utf-8", bytes.TrimSuffix(lines[0], []byte("\n")))
		return err
	}
	body := []byte{'['}
	for i, l := range lines {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, bytes.TrimSuffix(l, []byte("\n"))...)
	}
	_, err := e.post(ctx, "application/cloudevents-batch+json; charset=utf-8", append(body, ']'))
	return err
}
