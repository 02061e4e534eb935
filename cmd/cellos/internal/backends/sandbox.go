package backends

import (
	"context"
	"os"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/gvisor"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// sandboxes is the gVisor backend, with a runsc that was found and checked.
func sandboxes(env cli.Environment) (Chosen, error) {
	program, err := runsc(env)
	if err != nil {
		return Chosen{}, err
	}
	return Chosen{
		Name: backendGVisor,
		Plan: func(a *authority.Authority, h plan.Host) (*plan.Plan, error) {
			return plan.ForGVisor(a, h, program.Runsc)
		},
		Cells: func(b process.Backend) cell.Backend { return gvisor.Backend{Program: program, Ahead: b.Ahead} },
	}, nil
}

// runsc finds the program of the gVisor backend and checks it.
func runsc(env cli.Environment) (*gvisor.Program, error) {
	self, err := os.Executable()
	if err != nil {
		self = ""
	}
	named := env.Getenv(string(variable.Runsc))
	if named == "" {
		named = env.Getenv(string(variable.GVisorRunsc))
	}
	f, err := gvisor.Find(named, self, env.Getenv("PATH"), os.Geteuid() == 0)
	if err != nil {
		return nil, err
	}
	// What is remembered of it lies with the records, which no cell can touch.
	cache, err := cli.StateDir(env)
	if err != nil || os.MkdirAll(cache, 0o700) != nil {
		cache = ""
	}
	return gvisor.Check(context.Background(), f, cache)
}
