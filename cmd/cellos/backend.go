package main

import (
	"errors"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// A chosen backend: how it plans, and what builds the cells of its plans.
type chosen struct {
	name  string
	plan  func(*authority.Authority, plan.Host) (*plan.Plan, error)
	own   []string                           // folders of the backend's, which no cell may have
	boots *booted                            // filled by plan; nil: nothing boots
	cells func(process.Backend) cell.Backend // given what cells of processes would be built by
}

// The names of backends, as --backend takes them.
const (
	backendProcess = "process"
	backendGVisor  = "gvisor"
	backendMicroVM = "microvm"
)

// backendFlag reads --backend.
func backendFlag(to *string) func(string) error {
	return func(v string) error {
		if *to = v; v != backendProcess && v != backendGVisor && v != backendMicroVM {
			return errors.New("the backends are " + backendProcess + ", " + backendGVisor + " and " + backendMicroVM)
		}
		return nil
	}
}

// choose returns the backend that was asked for: name, of --backend, else by CELLOS_CELL_BACKEND, else cells of Linux processes. A name that is
// not known is an error, and never another backend.
func choose(name string, env environment) (chosen, error) {
	strict := false
	if name == "" {
		word, err := env.vars.Word(variable.CellBackend)
		if err != nil {
			return chosen{}, err
		}
		switch word {
		case "firecracker":
			name, strict = backendMicroVM, true
		default:
			name = word
		}
	}
	switch name {
	case "", "stub", backendProcess:
		return chosen{name: backendProcess, plan: plan.For, cells: func(b process.Backend) cell.Backend { return b }}, nil
	case backendMicroVM:
		return machines(env, strict)
	case backendGVisor:
		return sandboxes(env)
	}
	return chosen{}, variable.Errorf(variable.CellBackend, "the backend %s is not there", name)
}
