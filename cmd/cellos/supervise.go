package main

import (
	"fmt"
	"io"
	"strings"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
	"cellos.io/cellos/variable"
)

const superviseUsage = `usage: cellos supervise DOCUMENT|-
       cellos supervise --validate DOCUMENT|-
       cellos supervise --version

What cellos-supervisor is: the program behaves so, too, when it is called by that name. Environment variables configure it: cellos env
lists them, docs/migrating.md tells what differs from cellos-supervisor 0.5.1.
`

// supervise is cellos-supervisor: document, then configuration, then gates, then the run. A stage with errors ends it, with all of its
// errors.
func supervise(args []string, env cli.Environment, ui *cli.Console) error {
	validate := false
	switch {
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-V"):
		_, err := fmt.Fprintln(env.Out, "cellos-supervisor "+cli.Version)
		return err
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := io.WriteString(env.Out, superviseUsage)
		return err
	case len(args) > 0 && args[0] == "secret":
		return secretCommand(args[1:], env, ui)
	case len(args) > 0 && args[0] == "--validate":
		validate, args = true, args[1:]
	}
	switch {
	case len(args) == 0:
		return cli.NewMistake("a document is required", "cellos supervise --help").At("supervise")
	case args[0] != "-" && strings.HasPrefix(args[0], "-"):
		return cli.NewMistake("unknown option "+cli.Quote(args[0]), "cellos supervise --help").At("supervise")
	case len(args) > 1:
		return cli.NewMistake("unexpected argument "+cli.Quote(args[1]), "cellos supervise --help").At("supervise")
	}
	doc, data, err := readDocument(args[0], env)
	if err != nil {
		return err
	}
	c := configure(env.Vars)
	env = env.With(c.vars)
	a := &asked{doc: doc, data: data, name: args[0], grants: &grants{}, operator: c.limits, from: c, leaving: sinks.Leaving{Documented: true, Tags: c.Tags}}
	if len(c.errs) > 0 {
		return a.refusedBy(cli.Failure{Code: cli.ExitRefused, Errs: c.errs}, admission.Decision{}, validate, env, ui)
	}
	decision, err := c.admit(doc, validate)
	if err != nil {
		return a.refusedBy(err, decision, validate, env, ui)
	}
	a.decision = decision
	if validate {
		if errs := a.leaving.Read(env.Vars).Errs; len(errs) > 0 {
			return cli.Failure{Code: cli.ExitRefused, Errs: errs}
		}
		if decision.Unverified {
			ui.Note(fmt.Sprintf("spec.authority.authorityDerivation: not verified: %s is not set, and a run would be refused", variable.AuthorityKeysPath))
		}
		return a.validated(env)
	}
	return a.run(env, ui, new(runID(env.Vars)))
}

// runID is what the events call the run: the variable as it is, also when it is empty.
func runID(vars variable.Env) string {
	if id, set := vars.Lookup(string(variable.RunID)); set {
		return id
	}
	return "run-local-001"
}

// configured looks at every variable that is set: each must be known and hold what its kind allows, and what it asks for must
// be there. Ignoring one that is not would be letting pass what somebody wanted stopped.
func configured(vars variable.Env) []error {
	errs := vars.Check()
	for _, v := range vars.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !variable.Ours(name) && !strings.HasPrefix(name, "NATS_") {
			continue
		}
		switch row, known := variable.Find(name); {
		case !known:
			errs = append(errs, cli.NewMistake(name+": there is no such variable", "cellos env lists them"))
		case row.Use == variable.NotYet:
			errs = append(errs, fmt.Errorf("%s: not honoured by this program yet", name))
		}
	}
	return errs
}
