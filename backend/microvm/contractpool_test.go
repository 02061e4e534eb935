//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"cellos.io/cellos/backend/contract"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// A fromPool is a backend that takes the machine of every cell from a pool, for which it waits: it boots none. The pools are processes of
// their own, because cases look at what this one uses; there is one for each size of scratch space that is asked for.
type fromPool struct {
	microvm.Backend
	t *testing.T // the whole suite

	mu    sync.Mutex // whoever waits takes the next machine
	pools map[uint64]string
}

// ready waits until a machine with so much scratch space is, and returns the folder of its pool.
func (f *fromPool) ready(scratch uint64) string {
	dir, ok := f.pools[scratch]
	if !ok {
		dir = filepath.Join(workdir(f.t), "pool")
		f.pools[scratch] = dir
		supervised{Kernel: f.Kernel, Program: f.Program, Facts: f.Facts, QEMU: f.Monitor.(microvm.QEMU).Program, Images: f.Store.Dir(), Work: workdir(f.t),
			Scratch: scratch, Pool: dir, Size: 2}.startPool(f.t)
	}
	ready(f.t, dir, 1)
	return dir
}

// Build takes a machine. That there is none any more is an error.
func (f *fromPool) Build(ctx context.Context, p *plan.Plan, s cell.Streams) (cell.Cell, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.Backend
	b.Pool = &microvm.Pooled{Dir: f.ready(p.Limits.Scratch)}
	return b.Build(ctx, p, s)
}

// The contract, with machines that waited. A pool boots one after the other, some four seconds each where the processor is emulated, and
// the whole takes 75: so what runs are the cases in which a machine that waited has something of its own, its streams with their windows, its
// disk and file tree, its limits, network, secrets and terminal, each with one machine. CELLOS_TEST_MACHINES=all runs all of them.
func TestContractOfPool(t *testing.T) {
	machines := os.Getenv("CELLOS_TEST_MACHINES")
	if testing.Short() && machines == "" {
		t.Skip("8 boots are not short: CELLOS_TEST_MACHINES=1 runs them all the same")
	}
	b := backend(t)
	b.Phase = nil
	f := &fromPool{Backend: b, t: t, pools: map[uint64]string{}}
	s := contract.Subject{Backend: f, Plan: planFor(b), Slow: true, InTurn: 2, AtOnce: 2, Refuses: copied}
	s.Ready = func(p *plan.Plan) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ready(p.Limits.Scratch)
	}
	if machines != "all" {
		s.Only = []string{"streams are exact both ways", "a signal to the command", "limits of open files and file size", "secrets in the environment",
			"working directory: overlay", "the size of the terminal", "a granted name is reached, and nothing else", "the evidence of a run"}
	}
	contract.Test(t, s)
}
