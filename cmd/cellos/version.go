package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

const versionUsage = `usage: cellos version [--json]
`

func versionCommand(args []string, env environment, ui *console) error {
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
		return writeJSON(env.out, map[string]string{"version": version, "revision": revision, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
	case len(args) > 0:
		return mistake{"unexpected argument " + quote(args[0]), ""}.at("version")
	}
	if revision != "" {
		revision = " (" + revision + ")"
	}
	_, err := fmt.Fprintf(env.out, "cellos %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

const completionUsage = `usage: cellos completion bash|zsh|fish

Prints a script that completes the command line of cellos:

  bash:  source <(cellos completion bash)
  zsh:   source <(cellos completion zsh)
  fish:  cellos completion fish | source
`

func completionCommand(args []string, env environment, ui *console) error {
	if len(args) == 1 {
		if f, ok := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[args[0]]; ok {
			_, err := io.WriteString(env.out, f())
			return err
		}
	}
	return mistake{"one of bash, zsh, fish is required", ""}.at("completion")
}
