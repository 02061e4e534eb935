// Command cellos runs one command in an execution cell: with exactly the authority that a document or the flags name,
// and leaves events behind that tell what was asked, enforced and done.
//
//	cellos run -- COMMAND
//
// This package is the command line: flags, messages and exit codes. What they do is in the packages that it joins.
package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"

	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/variable"
)

func main() {
	if os.Getpid() == 1 && os.Args[0] == "/init" {
		backends.Machine() // the first process of a virtual machine: this program is its initial file system
	}
	// Keys and secrets are in the memory of this process; a core file would hold them. That it cannot be is no reason not to run.
	sysabi.NoCoreFiles()
	vars := variable.OS()
	os.Exit(run(os.Args, cli.Environment{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Vars:    vars,
		Getenv:  vars.Raw,
		Environ: vars.Environ,
		Getwd:   syscall.Getwd, // not os.Getwd: the folder itself, whatever links led the person there
	}))
}

// run is the whole program. It returns the exit status.
func run(args []string, env cli.Environment) int {
	ui := &cli.Console{Out: env.Out, Err: env.Err}
	if filepath.Base(args[0]) == "cellos-supervisor" {
		return ui.Exit(supervise(args[1:], env, ui))
	}
	args = args[1:]
	if len(args) == 0 {
		io.WriteString(env.Err, usage)
		return cli.ExitUsage
	}
	for _, c := range commands() {
		if c.name == args[0] || c.alias != "" && c.alias == args[0] {
			if len(args) == 2 && (args[1] == "--help" || args[1] == "-h") {
				return ui.Exit(helpCommand([]string{c.name}, env, ui))
			}
			return ui.Exit(c.run(args[1:], env, ui))
		}
	}
	return ui.Exit(cli.NewMistake("unknown command "+cli.Quote(args[0]), "cellos help lists the commands").At(""))
}
