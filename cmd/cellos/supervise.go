package main

import (
	"fmt"
	"io"
	"strings"

	"cellos.io/cellos/variable"
)

const superviseUsage = `usage: cellos supervise DOCUMENT|-
       cellos supervise --validate DOCUMENT|-

What cellos-supervisor is: the program behaves so, too, when it is called by that name.
`

// supervise reads the command line of cellos-supervisor. Variables that would change a run, and are not honoured yet, refuse
// it: ignoring a policy would be letting everything pass.
func supervise(args []string, env environment, ui *console) error {
	validate := false
	switch {
	case len(args) == 1 && (args[0] == "--version" || args[0] == "-V"):
		_, err := fmt.Fprintln(env.out, "cellos-supervisor "+version)
		return err
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err := io.WriteString(env.out, superviseUsage)
		return err
	case len(args) > 0 && args[0] == "--validate":
		validate, args = true, args[1:]
	}
	switch {
	case len(args) == 0:
		return mistake{"a document is required", ""}.at("supervise")
	case args[0] != "-" && strings.HasPrefix(args[0], "-"):
		return mistake{"unknown option " + quote(args[0]), ""}.at("supervise")
	case len(args) > 1:
		return mistake{"unexpected argument " + quote(args[1]), ""}.at("supervise")
	}
	doc, data, err := readDocument(args[0], env)
	if err != nil {
		return err
	}
	limits, errs := readLimits(env.vars)
	if errs = append(configured(env.vars), errs...); len(errs) > 0 {
		return failure{exitRefused, errs}
	}
	if validate {
		_, err := fmt.Fprintf(env.out, "{\n  \"mode\": \"validate\",\n  \"specId\": %s\n}\n", quote(doc.Spec.ID))
		return err
	}
	runID := env.vars.Text(variable.RunID)
	if runID == "" {
		runID = "run-local-001"
	}
	a := &asked{doc: doc, data: data, name: args[0], grants: &grants{}, operator: limits}
	return a.run(env, ui, runID, env.vars.Raw(string(variable.JSONLEvents)))
}

// configured looks at every variable that is set: each must be known and hold what its kind allows, and what it asks for must
// be there. Ignoring one that is not would be letting pass what somebody wanted stopped.
func configured(vars variable.Env) []error {
	errs := vars.Check()
	if word, _ := vars.Word(variable.DeploymentProfile); word == "hardened" && vars.Set(variable.DeploymentProfile) {
		errs = append(errs, variable.Errorf(variable.DeploymentProfile, "hardened is not honoured by this program yet"))
	}
	for _, v := range vars.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !variable.Ours(name) {
			continue
		}
		switch row, known := variable.Find(name); {
		case !known:
			errs = append(errs, mistake{name + ": there is no such variable", "cellos env lists them"})
		case row.Use == variable.NotYet:
			errs = append(errs, fmt.Errorf("%s: not honoured by this program yet", name))
		}
	}
	return errs
}
