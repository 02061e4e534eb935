package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/variable"
)

const envUsage = `usage: cellos env [--json]

Lists the environment variables that are read, by whom and what for, with a star before those that are set. Values are not printed: some
are secrets. The page docs/variables.md is the same list, and says how each kind is read.
`

func envCommand(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("env", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, envUsage)
		return err
	}
	if err == nil && len(rest) > 0 {
		err = errors.New("unexpected argument " + cli.Quote(rest[0]))
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help env").At("env")
	}
	isSet := func(r variable.Row) bool { _, set := env.Vars.Lookup(r.Name); return set }
	if *asJSON {
		type line struct {
			Name    string   `json:"name"`
			Group   string   `json:"group"`
			Kind    string   `json:"kind"`
			Words   []string `json:"words,omitempty"`
			Scoped  bool     `json:"scoped,omitempty"`
			Default string   `json:"default"`
			Reader  string   `json:"reader"`
			Help    string   `json:"help"`
			Use     string   `json:"use"`
			Set     bool     `json:"set"`
		}
		var list []line
		for _, g := range variable.Groups() {
			for _, r := range g.Rows {
				use := string(r.Use)
				if use == "" {
					use = "honoured"
				}
				list = append(list, line{r.Name, g.Title, r.Kind, r.Words, r.Scoped, r.Default, r.Reader, r.Help, use, isSet(r)})
			}
		}
		return cli.WriteJSON(env.Out, list)
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	for i, g := range variable.Groups() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", g.Title)
		for _, r := range g.Rows {
			mark := " "
			if isSet(r) {
				mark = "*"
			}
			fmt.Fprintf(w, "%s %s\t%s\t%s\n", mark, r.Written(), r.Kind, r.HelpWords())
		}
	}
	return w.Flush()
}
