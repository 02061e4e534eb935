//go:build linux && (amd64 || arm64)

package gvisor_test

import (
	"os"
	"path/filepath"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/contract"
	"cellos.io/cellos/backend/gvisor"
	"cellos.io/cellos/plan"
)

// runsc is the pinned one: CELLOS_RUNSC, or where build.sh puts it.
func runsc(t testing.TB) *gvisor.Program {
	t.Helper()
	named := os.Getenv("CELLOS_RUNSC")
	if named == "" {
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		named = filepath.Join(root, "libexec/cellos/runsc")
	}
	f, err := gvisor.Find(named, "", "", os.Getuid() == 0)
	if err != nil {
		t.Fatalf("%v; sh backend/gvisor/runsc/build.sh builds it", err)
	}
	t.Cleanup(func() { f.Close() })
	p, err := gvisor.Check(t.Context(), f, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func subject(t testing.TB) contract.Subject {
	p := runsc(t)
	return contract.Subject{
		Backend: gvisor.Backend{Program: p},
		Plan: func(a *authority.Authority, h plan.Host) (*plan.Plan, error) {
			return plan.ForGVisor(a, h, p.Runsc)
		},
		Lacks: map[string]string{
			"a terminal has a name": "gVisor's /dev/pts does not show a terminal that comes from the host",
		},
	}
}

func TestContract(t *testing.T) { contract.Test(t, subject(t)) }
