//go:build linux && (amd64 || arm64)

package process_test

import (
	"context"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/document"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
)

// BenchmarkCell is start to exit of /bin/true in a cell with everything, as a library uses it: one plan, many cells. Its peer is
// bench/minimal.c; bench/library.sh runs both.
func BenchmarkCell(b *testing.B) {
	p := planOf(b, `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"bench","run":{"argv":["/bin/true"]},"authority":{},"lifetime":{"ttlSeconds":60}}}`)
	for b.Loop() {
		c, err := process.Backend{}.Build(context.Background(), p, cell.Streams{})
		if err != nil {
			b.Fatal(err)
		}
		boundary, err := c.Measure(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		if err := boundary.Err(); err != nil {
			b.Fatal(err)
		}
		if err := c.Release(context.Background()); err != nil {
			b.Fatal(err)
		}
		if o, err := c.Wait(); err != nil || o.Code != 0 {
			b.Fatal(o, err)
		}
		if r := c.Destroy(); !r.Clean() {
			b.Fatal(r)
		}
	}
}

func planOf(b *testing.B, text string) *plan.Plan {
	b.Helper()
	doc, err := document.Parse("bench.json", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	a, err := authority.Of(doc, authority.Place{WorkingDirectory: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	h, err := host.Describe(plan.Paths(a))
	if err != nil {
		b.Fatal(err)
	}
	p, err := plan.For(a, h)
	if err != nil {
		b.Fatal(err)
	}
	return p
}
