package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence/schema"
)

const explainUsage = `usage: cellos explain [FLAGS] DOCUMENT
       cellos explain [FLAGS] -- COMMAND [ARGUMENT...]

Says what the command of a cell could do and could not, which layer enforces each line, and what is measured before it
starts. Nothing runs. The flags are those of cellos run, and:

  --backend NAME  plan for another backend: process (the default), gvisor or microvm
  --steps    print the system calls that build the cell too
  --json     print all of it for programs
`

func explainCommand(args []string, env cli.Environment, ui *cli.Console) error {
	var g grants
	var file, backend string
	var asJSON, steps bool
	set := newFlags("explain", &g, &file, env)
	set.BoolVar(&asJSON, "json", false, "")
	set.BoolVar(&steps, "steps", false, "")
	set.Func("backend", "", backends.Flag(&backend))
	rest, dashed, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, explainUsage)
		return err
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help explain").At("explain")
	}
	a, err := readAsked("explain", &g, file, rest, dashed, env)
	if err != nil {
		return err
	}
	defer a.close()
	a.backend = backend
	to, err := backends.Choose(a.backend, "", env)
	if err != nil {
		return cli.Refusal(err)
	}
	_, p, err := a.planned(env, to)
	for _, n := range a.notes {
		ui.Note(n)
	}
	switch {
	case err != nil:
		return err
	case asJSON:
		return cli.WriteJSON(env.Out, p.Report())
	case steps:
		_, err = env.Out.Write(p.Text())
	default:
		_, err = io.WriteString(env.Out, p.Words())
	}
	return err
}

const validateUsage = `usage: cellos validate [--json] DOCUMENT

Checks a document (JSON, or YAML if its name says so; - is standard input) and reports everything wrong with it, each with
its line and its path. Exit status 0 if it is good, 2 if not. Whether this host can enforce it is what explain tells.
`

func validateCommand(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("validate", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	rest, dashed, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, validateUsage)
		return err
	}
	if err == nil && (dashed || len(rest) != 1) {
		err = errors.New("one document is required")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help validate").At("validate")
	}
	doc, _, err := readDocument(rest[0], env)
	if err != nil {
		if *asJSON {
			return reportProblems(env, err)
		}
		return err
	}
	if *asJSON {
		return cli.WriteJSON(env.Out, map[string]any{"valid": true, "id": doc.Spec.ID, "specDigest": doc.CanonicalDigest(), "problems": []string{}})
	}
	_, err = fmt.Fprintf(env.Out, "%s: valid, %s\n", cli.OneLine(rest[0]), doc.CanonicalDigest())
	return err
}

func reportProblems(env cli.Environment, err error) error {
	var f cli.Failure
	list := []string{}
	if errors.As(err, &f) {
		for _, e := range f.Errs {
			list = append(list, e.Error())
		}
	} else {
		list = append(list, err.Error())
	}
	if err := cli.WriteJSON(env.Out, map[string]any{"valid": false, "problems": list}); err != nil {
		return err
	}
	return cli.Status(cli.ExitUsage)
}

const schemaUsage = `usage: cellos schema [--events]

Prints the JSON Schema (draft 2020-12) of documents. Rules that a schema cannot say are checked by cellos validate.

  --events   print the schema of the events of a run instead, every type
`

func schemaCommand(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("schema", flag.ContinueOnError)
	events := set.Bool("events", false, "")
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, schemaUsage)
		return err
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("unexpected argument " + cli.Quote(rest[0]))
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help schema").At("schema")
	}
	text := document.Schema
	if *events {
		text = schema.Events
	}
	_, err = env.Out.Write(text())
	return err
}
