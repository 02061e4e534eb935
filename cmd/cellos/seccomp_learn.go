package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/filters"
	"cellos.io/cellos/seccomp/learn"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/sysabi"
)

// learnCommand runs a command in a cell whose every system call the supervisor answers, and writes the policy that lets it do the same.
func learnCommand(args []string, env cli.Environment, ui *cli.Console) error {
	var g grants
	var asJSON bool
	var file, output string
	set := newFlags("seccomp learn", &g, &file, env)
	set.BoolVar(&asJSON, "json", false, "")
	set.StringVar(&output, "policy", "", "")
	set.BoolVar(&ui.Quiet, "quiet", false, "")
	set.BoolVar(&ui.Quiet, "q", false, "")
	rest, dashed, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, filters.Usage)
		return err
	}
	if err == nil && !dashed && len(rest) > 0 {
		err = errors.New("the command goes behind --")
	}
	if err == nil && strings.HasPrefix(g.seccomp.Profile, "baseline") {
		err = errors.New("--seccomp " + g.seccomp.Profile + ": what is learnt is what hardened lets pass, never more")
	}
	if err == nil && (strings.HasPrefix(g.seccomp.Profile, "strict") || g.seccomp.File != nil) {
		err = errors.New("--seccomp: what a narrower filter refuses cannot be learnt; hardened, with +net-none or +debug, is possible")
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help seccomp").At("seccomp learn")
	}
	arch, ok := sysabi.ArchByName(runtime.GOARCH)
	if !ok {
		return cli.Failure{Code: cli.ExitRefused, Errs: []error{errors.New("no system call tables for " + runtime.GOARCH)}}
	}
	seen, err := learn.New(arch)
	if err != nil {
		return err
	}
	a, err := readAsked("seccomp learn", &g, file, rest, dashed, env)
	if err != nil {
		return err
	}
	a.calls = func(c cell.Call) { seen.Add(c.TID, c.Data, c.Verdict) }
	// Standard output is the policy's; what the command prints goes to standard error.
	inside := env
	inside.Out = env.Err
	ended := a.run(inside, ui, nil)
	var s cli.Status
	var start *cell.StartError
	if ended != nil && !errors.As(ended, &s) || errors.As(a.end.Err, &start) || len(seen.Uses()) == 0 {
		return ended // it did not start
	}
	text, err := learnt(seen, rest, &g)
	if err != nil {
		return err
	}
	if output != "" {
		if err := cli.WriteFile(output, text); err != nil {
			return err
		}
		ui.Note("the policy is in " + output + "; cellos run " + strings.Join(append(learntProfile(&g), "--seccomp "+output), " ") + " -- … runs the command under it")
	}
	switch {
	case asJSON:
		err = cli.WriteJSON(env.Out, struct {
			Command []string    `json:"command"`
			Status  int         `json:"status"`
			Calls   []learn.Use `json:"calls"`
			Policy  string      `json:"policy"`
		}{rest, int(s), seen.Uses(), string(text)})
	case output == "":
		_, err = env.Out.Write(text)
	}
	if err != nil {
		return err
	}
	return ended
}

// learntProfile is the profile below the policy, where it is not the one that every cell has.
func learntProfile(g *grants) []string {
	if p := g.seccomp.Profile; p != "" && p != "hardened" {
		return []string{"--seccomp " + p}
	}
	return nil
}

// learnt writes the policy, with what was seen as a comment, and reads it again: it must allow what was seen.
func learnt(seen *learn.Recorder, argv []string, g *grants) ([]byte, error) {
	words, _ := json.Marshal(argv)
	comment := []string{"The system calls of " + cli.OneLine(cli.Brief(string(words))) + ", as cellos seccomp learn saw them once.",
		"What another run does beyond them is refused. Use: cellos run " + strings.Join(append(learntProfile(g), "--seccomp FILE"), " ") + " -- COMMAND", ""}
	for _, u := range seen.Uses() {
		line := fmt.Sprintf("%-20s %6d  %s", u.Call, u.Count, u.Verdict)
		if len(u.Classes) == 0 {
			comment = append(comment, line)
			continue
		}
		comment = append(comment, strings.TrimRight(fmt.Sprintf("%-20s %6d", u.Call, u.Count), " "))
		for _, c := range u.Classes {
			comment = append(comment, fmt.Sprintf("  %-48s %6d  %s", c.Arguments, c.Count, c.Verdict))
		}
		if u.More {
			comment = append(comment, "  and with other arguments")
		}
	}
	text := policyfile.Extending("strict", path.Base(argv[0]), seen.Rules(), comment)
	p, err := policyfile.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("learn bug: %w", err)
	}
	return text, seen.Check(p)
}

// seccompOrLearn is the command seccomp: learn runs a cell, and everything else reads filters.
func seccompOrLearn(args []string, env cli.Environment, ui *cli.Console) error {
	if len(args) > 0 && args[0] == "learn" {
		return learnCommand(args[1:], env, ui)
	}
	return filters.Command(args, env, ui)
}
