package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

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

func explainCommand(args []string, env environment, ui *console) error {
	var g grants
	var file, backend string
	var asJSON, steps bool
	set := newFlags("explain", &g, &file, env)
	set.BoolVar(&asJSON, "json", false, "")
	set.BoolVar(&steps, "steps", false, "")
	set.Func("backend", "", backendFlag(&backend))
	rest, dashed, err := parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.out, explainUsage)
		return err
	}
	if err != nil {
		return mistake{err.Error(), "cellos help explain"}.at("explain")
	}
	a, err := readAsked("explain", &g, file, rest, dashed, env)
	if err != nil {
		return err
	}
	defer a.close()
	a.backend = backend
	to, err := choose(a.backend, env)
	if err != nil {
		return refusal(err)
	}
	_, p, err := a.planned(env, to)
	for _, n := range a.notes {
		ui.note(n)
	}
	switch {
	case err != nil:
		return err
	case asJSON:
		return writeJSON(env.out, p.Report())
	case steps:
		_, err = env.out.Write(p.Text())
	default:
		_, err = io.WriteString(env.out, p.Words())
	}
	return err
}

const validateUsage = `usage: cellos validate [--json] DOCUMENT

Checks a document (JSON, or YAML if its name says so; - is standard input) and reports everything wrong with it, each with
its line and its path. Exit status 0 if it is good, 2 if not. Whether this host can enforce it is what explain tells.
`

func validateCommand(args []string, env environment, ui *console) error {
	set := flag.NewFlagSet("validate", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	rest, dashed, err := parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.out, validateUsage)
		return err
	}
	if err == nil && (dashed || len(rest) != 1) {
		err = errors.New("one document is required")
	}
	if err != nil {
		return mistake{err.Error(), "cellos help validate"}.at("validate")
	}
	doc, _, err := readDocument(rest[0], env)
	if err != nil {
		if *asJSON {
			return reportProblems(env, err)
		}
		return err
	}
	if *asJSON {
		return writeJSON(env.out, map[string]any{"valid": true, "id": doc.Spec.ID, "specDigest": doc.CanonicalDigest(), "problems": []string{}})
	}
	_, err = fmt.Fprintf(env.out, "%s: valid, %s\n", oneLine(rest[0]), doc.CanonicalDigest())
	return err
}

func reportProblems(env environment, err error) error {
	var f failure
	list := []string{}
	if errors.As(err, &f) {
		for _, e := range f.errs {
			list = append(list, e.Error())
		}
	} else {
		list = append(list, err.Error())
	}
	if err := writeJSON(env.out, map[string]any{"valid": false, "problems": list}); err != nil {
		return err
	}
	return status(exitUsage)
}

const schemaUsage = `usage: cellos schema [--events]

Prints the JSON Schema (draft 2020-12) of documents. Rules that a schema cannot say are checked by cellos validate.

  --events   print the schema of the events of a run instead, every type
`

func schemaCommand(args []string, env environment, ui *console) error {
	set := flag.NewFlagSet("schema", flag.ContinueOnError)
	events := set.Bool("events", false, "")
	rest, _, err := parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.out, schemaUsage)
		return err
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("unexpected argument " + quote(rest[0]))
	}
	if err != nil {
		return mistake{err.Error(), "cellos help schema"}.at("schema")
	}
	text := document.Schema
	if *events {
		text = schema.Events
	}
	_, err = env.out.Write(text())
	return err
}
