package cli

import (
	"encoding/json"
	"io"
	"os"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/variable"
)

// Version is the program's own; a release build may set it with -ldflags "-X cellos.io/cellos/cmd/cellos/internal/cli.Version=…".
var Version = "0.1.0"

// An Environment is what the command line gets from the process, so that tests can give it something else.
type Environment struct {
	In, Out, Err *os.File
	Vars         variable.Env
	Getenv       func(string) string // of vars, for packages that are given the reader
	Environ      func() []string
	Getwd        func() (string, error)
}

// With returns the environment with other variables.
func (env Environment) With(vars variable.Env) Environment {
	env.Vars, env.Getenv, env.Environ = vars, vars.Raw, vars.Environ
	return env
}

// StateDir is where the records are.
func StateDir(env Environment) (string, error) {
	return record.StateDir(env.Getenv, os.Geteuid(), env.Vars.TempDir())
}

// Private are the folders in which cellos keeps what no command may touch.
func Private(env Environment) []string {
	state, err := StateDir(env)
	if err != nil {
		return nil // a run is refused for that; explain has no record to keep
	}
	return []string{state, keys.Dir(env.Getenv, state)}
}

// WriteJSON writes a value for programs, and for people who read with them.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
