package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"cellos.io/cellos/cmd/cellos/internal/cli"
)

const versionUsage = `usage: cellos version [--json]
`

func versionCommand(args []string, env cli.Environment, ui *cli.Console) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	switch {
	case len(args) == 1 && args[0] == "--json":
		return cli.WriteJSON(env.Out, map[string]string{"version": cli.Version, "revision": revision, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	case len(args) > 0:
		return cli.NewMistake("unexpected argument "+cli.Quote(args[0]), "").At("version")
	}
	if revision != "" {
		revision = " (" + revision + ")"
	}
	_, err := fmt.Fprintf(env.Out, "cellos %s%s %s %s/%s\n", cli.Version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

const completionUsage = `usage: cellos completion bash|zsh|fish

Prints a script that completes the command line of cellos:

  bash:  source <(cellos completion bash)
  zsh:   source <(cellos completion zsh)
  fish:  cellos completion fish | source
`

func completionCommand(args []string, env cli.Environment, ui *cli.Console) error {
	if len(args) == 1 {
		if f, ok := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[args[0]]; ok {
			_, err := io.WriteString(env.Out, f())
			return err
		}
	}
	return cli.NewMistake("one of bash, zsh, fish is required", "").At("completion")
}
