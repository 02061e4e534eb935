//go:build linux && (amd64 || arm64)

package process

import (
	"sync"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/spawn"
)

// Ahead is a process in the namespaces of the next cell, made while that cell is still being planned: what the kernel needs for them is
// a third of a start. It waits and holds nothing, and it ends with the supervisor.
//
//	ahead := process.Begin()
//	defer ahead.Close()
//	p, err := plan.For(…)
//	c, err := process.Backend{Ahead: ahead}.Build(ctx, p, streams)
//
// A cell that needs other namespaces does without it.
type Ahead struct {
	once  sync.Once
	ready chan *spawn.Prepared // nil where none could be made: building the cell tells why
}

// Begin begins to make the process.
func Begin() *Ahead {
	a := &Ahead{ready: make(chan *spawn.Prepared, 1)}
	go func() {
		p, _ := spawn.Prepare(uint64(plan.AllNamespaces))
		a.ready <- p
	}()
	return a
}

// take returns the process, once, if it fits.
func (a *Ahead) take(n plan.Namespaces) (p *spawn.Prepared) {
	if a == nil || n != plan.AllNamespaces {
		return nil
	}
	a.once.Do(func() { p = <-a.ready })
	return p
}

// Close ends a process that was not used. Calling it twice is no error.
func (a *Ahead) Close() {
	a.once.Do(func() {
		if p := <-a.ready; p != nil {
			p.Close()
		}
	})
}
