//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"os"
	"testing"

	"cellos.io/cellos/backend/contract"
)

// The contract takes some 75 boots, two at a time, of two seconds of processor time each where the processor is emulated; the short run has
// TestMachine.
func TestContract(t *testing.T) {
	if testing.Short() && os.Getenv("CELLOS_TEST_MACHINES") == "" {
		t.Skip("75 boots are not short: CELLOS_TEST_MACHINES=1 runs them all the same")
	}
	b := backend(t)
	b.Phase = nil
	contract.Test(t, contract.Subject{Backend: b, Plan: planFor(b), Slow: true, InTurn: 2, AtOnce: 2, Refuses: copied})
}

const copies = "a virtual machine has copies of the host's files"

// copied are the cases that need the host's own files.
var copied = map[string]string{
	"working directory: write":               copies,
	"granted files":                          copies,
	"files behave where they are the host's": copies,
}
