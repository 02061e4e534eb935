//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"os"
	"testing"

	"cellos.io/cellos/backend/contract"
)

// The contract takes some fifty boots, five seconds each where the processor is emulated; the short run has TestMachine.
func TestContract(t *testing.T) {
	if os.Getenv("CELLOS_TEST_MACHINES") == "" {
		t.Skip("fifty boots take a quarter of an hour where the processor is emulated: CELLOS_TEST_MACHINES=1 runs them")
	}
	if testing.Short() {
		t.Skip("fifty boots are not short")
	}
	b := backend(t)
	b.Phase = nil
	const copies = "a virtual machine has copies of the host's files"
	contract.Test(t, contract.Subject{Backend: b, Plan: planFor(b), Slow: true, InTurn: 2, AtOnce: 2, Refuses: map[string]string{
		"working directory: write":               copies,
		"granted files":                          copies,
		"files behave where they are the host's": copies,
	}})
}
