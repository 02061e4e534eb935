package main

import (
	"encoding/json"
	"io"
	"os"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/variable"
)

// version is the program's own; a release build may set it with -ldflags "-X main.version=…".
var version = "0.1.0"

// An environment is what the command line gets from the process, so that tests can give it something else.
type environment struct {
	in, out, err *os.File
	vars         variable.Env
	getenv       func(string) string // of vars, for packages that are given the reader
	environ      func() []string
	getwd        func() (string, error)
}

// with returns the environment with other variables.
func (env environment) with(vars variable.Env) environment {
	env.vars, env.getenv, env.environ = vars, vars.Raw, vars.Environ
	return env
}

// stateDir is where the records are.
func stateDir(env environment) (string, error) {
	return record.StateDir(env.getenv, os.Geteuid(), env.vars.TempDir())
}

// private are the folders in which cellos keeps what no command may touch.
func private(env environment) []string {
	state, err := stateDir(env)
	if err != nil {
		return nil // a run is refused for that; explain has no record to keep
	}
	return []string{state, keys.Dir(env.getenv, state)}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
