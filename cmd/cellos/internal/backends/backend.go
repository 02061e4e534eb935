package backends

import (
	"errors"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/certificates"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// A Chosen backend: how it plans, and what builds the cells of its plans.
type Chosen struct {
	Name  string
	Plan  func(*authority.Authority, plan.Host) (*plan.Plan, error)
	Tree  func(*authority.Authority) (*certificates.Tree, error) // files of the image that Plan plans with; nil: it takes none
	Own   []string                                               // folders of the backend's, which no cell may have
	Asks  bool                                                   // its cells ask for secrets by the backend: the host needs no socket
	Boots *Booted                                                // filled by plan; nil: nothing boots
	Cells func(process.Backend) cell.Backend                     // given what cells of processes would be built by
}

// The names of backends, as --backend takes them.
const (
	BackendProcess = "process"
	backendGVisor  = "gvisor"
	backendMicroVM = "microvm"
)

// Flag reads --backend.
func Flag(to *string) func(string) error {
	return func(v string) error {
		if *to = v; v != BackendProcess && v != backendGVisor && v != backendMicroVM {
			return errors.New("the backends are " + BackendProcess + ", " + backendGVisor + " and " + backendMicroVM)
		}
		return nil
	}
}

// PoolFlag reads --pool, which may stand alone.
type PoolFlag string

func (f *PoolFlag) String() string   { return "" }
func (f *PoolFlag) IsBoolFlag() bool { return true }

// Set takes --pool and --pool=prefer.
func (f *PoolFlag) Set(v string) error {
	switch v {
	case "true", PoolRequire:
		*f = PoolRequire
	case PoolPrefer:
		*f = PoolPrefer
	default:
		return errors.New("it stands alone, or is " + PoolRequire + " or " + PoolPrefer)
	}
	return nil
}

// What --pool and its variable say: a machine of a pool or none, or one that is booted where there is none.
const (
	PoolRequire = "require"
	PoolPrefer  = "prefer"
)

// Choose returns the backend that was asked for: name, of --backend, else by CELLOS_CELL_BACKEND, else cells of Linux processes. A name that is
// not known is an error, and never another backend.
// Pool says whether its machine is to come from a pool: "", "require" or "prefer".
func Choose(name, pool string, env cli.Environment) (Chosen, error) {
	strict := false
	if name == "" {
		word, err := env.Vars.Word(variable.CellBackend)
		if err != nil {
			return Chosen{}, err
		}
		switch word {
		case "firecracker":
			name, strict = backendMicroVM, true
		default:
			name = word
		}
	}
	if pool != "" && name != backendMicroVM {
		return Chosen{}, cli.NewMistake("--pool: only virtual machines can wait for their cell", "add --backend "+backendMicroVM).At("run")
	}
	switch name {
	case "", "stub", BackendProcess:
		return Chosen{Name: BackendProcess, Plan: plan.For, Cells: func(b process.Backend) cell.Backend { return b }}, nil
	case backendMicroVM:
		return pooled(pool, env, strict)
	case backendGVisor:
		return sandboxes(env)
	}
	return Chosen{}, variable.Errorf(variable.CellBackend, "the backend %s is not there", name)
}
