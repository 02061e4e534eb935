package main

import (
	"io"
	"slices"

	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/filters"
	"cellos.io/cellos/cmd/cellos/internal/records"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
)

// A command of the command line. The completion scripts are made from this table.
type command struct {
	name, alias string
	does        string // one line, for completion
	usage       string
	words       []string // what may follow the name, for completion
	flags       []string // names, for completion
	files       bool     // takes file names
	run         func(args []string, env cli.Environment, ui *cli.Console) error
}

func commands() []command {
	grants := grantFlagNames()
	return []command{
		{name: "run", does: "run a command in a cell", usage: runUsage, flags: slices.Concat(grants, runFlagNames, sinks.SinkFlagNames, records.SignerFlagNames), files: true, run: runCommand},
		{name: "explain", does: "say what a command could do, and how that is enforced", usage: explainUsage, flags: append(grants, "--json", "--steps"), files: true, run: explainCommand},
		{name: "validate", does: "check a document", usage: validateUsage, flags: []string{"--json"}, files: true, run: validateCommand},
		{name: "schema", does: "print the JSON Schema of documents or events", usage: schemaUsage, flags: []string{"--events"}, run: schemaCommand},
		{name: "image", does: "the images that virtual machines boot from", usage: backends.ImageUsage, flags: []string{"--json", "--all"}, files: true, run: backends.Image},
		{name: "pool", does: "virtual machines that are booted and wait for cells", usage: backends.PoolUsage, words: backends.PoolWords, flags: backends.PoolFlagNames, run: backends.Pool},
		{name: "runs", does: "list recorded runs", usage: records.RunsUsage, flags: append([]string{"--json", "--clean", "--recover"}, records.SignerFlagNames...), run: records.Runs},
		{name: "show", does: "show a recorded run", usage: records.ShowUsage, flags: []string{"--json", "--html", "--output", "--key", "--events", "--document", "--plan"}, files: true, run: records.Show},
		{name: "diff", does: "compare two recorded runs", usage: records.DiffUsage, flags: []string{"--json", "--key"}, files: true, run: records.Diff},
		{name: "verify", does: "check the evidence of a run", usage: records.VerifyUsage, flags: []string{"--key", "--require", "--run", "--count", "--head", "--json"}, files: true, run: records.Verify},
		{name: "attest", does: "make a signed in-toto statement about a run's files", usage: records.AttestUsage,
			flags: append([]string{"--predicate", "--builder", "--failed", "--statement", "--output", "--key"}, records.SignerFlagNames...), files: true, run: records.Attest},
		{name: "events", does: "list and send again what a sink did not take", usage: sinks.EventsUsage, flags: []string{"--to"}, files: true, run: sinks.Events},
		{name: "keys", does: "the keys that sign evidence", usage: records.KeysUsage, flags: []string{"--json", "--format"}, run: records.Keys},
		{name: "seccomp", does: "filters of system calls: show, check, compare, compile, learn", usage: filters.Usage, words: filters.Words, flags: filters.FlagNames, files: true, run: seccompOrLearn},
		{name: "secret", does: "in a cell: print a secret", usage: secretUsage, run: secretCommand},
		{name: "supervise", does: "behave as cellos-supervisor", usage: superviseUsage, flags: []string{"--validate", "--version"}, files: true, run: supervise},
		{name: "env", does: "the environment variables that are read", usage: envUsage, flags: []string{"--json"}, run: envCommand},
		{name: "completion", does: "print a shell's completion script", usage: completionUsage, run: completionCommand},
		{name: "version", alias: "--version", does: "print the version", usage: versionUsage, flags: []string{"--json"}, run: versionCommand},
		{name: "help", alias: "--help", does: "print help", usage: usage, run: helpCommand},
	}
}

const usage = `usage: cellos COMMAND

  run [FLAGS] -- COMMAND...     run a command in a cell
  run [FLAGS] DOCUMENT          run the cell of a document (JSON or YAML)
  explain [FLAGS] DOCUMENT|-- COMMAND...
                                say what it could do, and what enforces that
  validate DOCUMENT             check a document, and report everything wrong with it
  schema [--events]             print the JSON Schema of documents, or of events
  image list|build|verify|gc    the images that virtual machines boot from
  pool start|status|stop        virtual machines that are booted and wait for cells
  runs                          list recorded runs
  show [RUN|FILE]               show one; RUN is its name, the beginning of it, or "last"
  diff RUN RUN                  compare two
  verify [RUN|FILE|-]           check its evidence: signatures, order, completeness
  attest [RUN|FILE]             state what it made, signed, for supply-chain tools (in-toto, SLSA)
  keys                          the keys that sign it
  seccomp WORD                  filters of system calls: show, check, compare, compile, learn
  secret get KEY                in a cell: print one of its secrets
  events list|resend DIR        events that a sink did not take
  supervise DOCUMENT            behave as cellos-supervisor does
  env                           list the environment variables that are read
  completion bash|zsh|fish      print a completion script
  version                       print the version
  help [COMMAND]                print help

exit status: the command's own; 2 a mistake in a document or on the command line; 123 the command succeeded, but evidence or
teardown failed; 124 time limit; 125 refused, nothing ran; 126 not executable; 127 not found; 128+n ended by signal n.
`

func helpCommand(args []string, env cli.Environment, _ *cli.Console) error {
	text := usage
	if len(args) > 0 {
		text = ""
		for _, c := range commands() {
			if c.name == args[0] {
				text = c.usage
			}
		}
		if text == "" {
			return cli.NewMistake("unknown command "+cli.Quote(args[0]), "cellos help lists the commands").At("help")
		}
	}
	_, err := io.WriteString(env.Out, text)
	return err
}
