package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
)

// check applies the rules of documents. Arguments are taken as they are: a document cannot say an empty one, or one that is not
// UTF-8, a command line can.
func (g *grants) check(doc *document.Document) error {
	c := *doc
	run := *doc.Spec.Run
	run.Argv = slices.Clone(run.Argv)
	for i, a := range run.Argv {
		if a == "" || !utf8.ValidString(a) {
			run.Argv[i] = "-"
		}
	}
	if doc.Spec.Run.Argv[0] == "" {
		return cli.Failure{Code: cli.ExitUsage, Errs: []error{errors.New("the command is empty")}}
	}
	c.Spec.Run = &run
	data, err := c.JSON()
	if err == nil {
		_, err = document.Parse("command line", data)
	}
	var problems document.Problems
	if !errors.As(err, &problems) {
		return err
	}
	f := cli.Failure{Code: cli.ExitUsage}
	for _, p := range problems {
		f.Errs = append(f.Errs, errors.New(g.flagOf(p.Path)+": "+g.inFlags(p.Text)))
	}
	return f
}

// inFlags puts the flags of grants into a text that names them by their path in the document.
func (g *grants) inFlags(text string) string {
	for _, x := range g.lists() {
		for i, v := range x.list {
			text = strings.ReplaceAll(text, fmt.Sprintf("spec.authority.filesystem.%s[%d]", x.name, i), v.flag)
		}
	}
	return text
}

type grantList struct {
	name string
	list []grant
}

func (g *grants) lists() []grantList {
	return []grantList{{"read", g.read}, {"write", g.write}, {"exec", g.exec}}
}

// flagOf says which flag a path of the document came from.
func (g *grants) flagOf(p string) string {
	if p == "" {
		return "the command line"
	}
	for _, x := range g.lists() {
		for i, v := range x.list {
			if strings.HasPrefix(p, fmt.Sprintf("spec.authority.filesystem.%s[%d]", x.name, i)) {
				return v.flag
			}
		}
	}
	if f := g.network.flagOf(p); f != "" {
		return f
	}
	for _, x := range [][2]string{
		{"spec.run.limits.memoryMaxBytes", "--memory"}, {"spec.run.limits.cpuMax", "--cpus"}, {"spec.run.limits.processes", "--pids"},
		{"spec.run.limits.openFiles", "--nofile"}, {"spec.run.limits.fileSizeBytes", "--file-size"}, {"spec.run.limits.scratchBytes", "--scratch"},
		{"spec.run.limits.outputBytes", "--output"}, {"spec.run.limits.gracefulShutdownSeconds", "--grace"}, {"spec.run.timeoutMs", "--time"},
		{"spec.lifetime", "--time"}, {"spec.run.seccomp.reportRefusals", "--report-refusals"}, {"spec.run.seccomp", "--seccomp"}, {"spec.run.user", "--user"}, {"spec.run.environment", "--env"},
		{"spec.run.hostname", "--hostname"}, {"spec.environment", "--image"}, {"spec.run.workingDirectory", "--workdir"}, {"spec.authority.filesystem.workingDirectory", "--workdir"},
		{"spec.authority.secretRefs", "--secret"}, {"spec.run.argv", "the command"}, {"spec.id", "--name"},
	} {
		if rest, ok := strings.CutPrefix(p, x[0]); ok {
			if rest, ok = strings.CutPrefix(rest, "."); ok && x[1] == "--env" {
				return "--env " + rest
			}
			return x[1]
		}
	}
	return p
}
