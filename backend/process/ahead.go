//go:build linux && (amd64 || arm64)

package process

import (
	"os"
	"sync"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/spawn"
	"cellos.io/cellos/sysabi"
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
	cell   *future
	holder *future // of the user namespace that maps the owner of granted files; root's cells have one
}

// Begin begins to make the processes.
func Begin() *Ahead {
	a := &Ahead{cell: begin(plan.AllNamespaces)}
	if os.Geteuid() == 0 {
		a.holder = begin(sysabi.CLONE_NEWUSER)
	}
	return a
}

// take returns the cell's process, once, if it fits.
func (a *Ahead) take(n plan.Namespaces) *spawn.Prepared {
	if a == nil || n != plan.AllNamespaces {
		return nil
	}
	return a.cell.take()
}

func (a *Ahead) takeHolder() *spawn.Prepared {
	if a == nil {
		return nil
	}
	return a.holder.take()
}

// Close ends the processes that were not used. Calling it twice is no error.
func (a *Ahead) Close() {
	for _, f := range []*future{a.cell, a.holder} {
		if p := f.take(); p != nil {
			p.Close()
		}
	}
}

// A future is a process that is being made. Where none can be made it is nil: building the cell tells why.
type future struct {
	once  sync.Once
	ready chan *spawn.Prepared
}

func begin(n plan.Namespaces) *future {
	f := &future{ready: make(chan *spawn.Prepared, 1)}
	go func() {
		p, _ := spawn.Prepare(uint64(n))
		f.ready <- p
	}()
	return f
}

// take waits for the process and gives it away, once.
func (f *future) take() (p *spawn.Prepared) {
	if f != nil {
		f.once.Do(func() { p = <-f.ready })
	}
	return p
}
