package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const superviseUsage = `usage: cellos supervise DOCUMENT|-
       cellos supervise --validate DOCUMENT|-

What cellos-supervisor is: the program behaves so, too, when it is called by that name.
`

// superviseVariables are the variables of cellos-supervisor that are honoured here, or that ask for nothing.
var superviseVariables = []string{"CELLOS_STATE", "CELLOS_RUN_ID", "CELL_OS_JSONL_EVENTS", "CELL_OS_USE_NOOP_SINK"}

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
	f := failure{code: exitRefused}
	for _, v := range env.environ() {
		name, value, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "CELLOS_") && !strings.HasPrefix(name, "CELL_OS_") || slices.Contains(superviseVariables, name) ||
			name == "CELLOS_DEPLOYMENT_PROFILE" && strings.EqualFold(strings.TrimSpace(value), "portable") || name == "CELLOS_BROKER" && value == "env" {
			continue
		}
		f.errs = append(f.errs, fmt.Errorf("%s: not honoured by this program yet", name))
	}
	if len(f.errs) > 0 {
		return f
	}
	if validate {
		_, err := fmt.Fprintf(env.out, "{\n  \"mode\": \"validate\",\n  \"specId\": %s\n}\n", quote(doc.Spec.ID))
		return err
	}
	runID := env.getenv("CELLOS_RUN_ID")
	if runID == "" {
		runID = "run-local-001"
	}
	a := &asked{doc: doc, data: data, name: args[0], grants: &grants{}}
	return a.run(env, ui, runID, env.getenv("CELL_OS_JSONL_EVENTS"))
}
