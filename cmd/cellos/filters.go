package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/variable"
)

// fromDocument is where a document names its filter.
const fromDocument = "spec.run.seccomp.file"

// filters reads the filters that narrow the profile: the document's file, and what the operator's variables ask for. The notes are
// what the person should know about them.
func (a *asked) filters(env cli.Environment) (list []authority.Filter, notes []string, err error) {
	if run := a.doc.Spec.Run; run != nil && run.Seccomp != nil && run.Seccomp.File != nil {
		f, more, err := documentFilter(run.Seccomp)
		if err != nil {
			return nil, nil, a.badFilter(fromDocument, err)
		}
		list, notes = append(list, f), append(notes, more...)
	}
	f, more, err := operatorFilter(env)
	if err != nil {
		return nil, nil, cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	}
	if f != nil {
		list = append(list, *f)
	}
	return list, append(notes, more...), nil
}

// badFilter reports every mistake in a filter's file.
func (a *asked) badFilter(from string, err error) error {
	if a.name == "" {
		from = a.grants.flagOf(from)
	}
	f := cli.Failure{Code: cli.ExitUsage}
	for _, e := range cli.Split(err) {
		f.Errs = append(f.Errs, errors.New(from+": "+e.Error()))
	}
	return f
}

func documentFilter(s *document.Seccomp) (authority.Filter, []string, error) {
	content, err := seccomp.ReadPolicy(*s.File, policyfile.MaxSize)
	if err != nil {
		return authority.Filter{}, nil, fmt.Errorf("%s: %w", *s.File, err)
	}
	if sum := sha256.Sum256(content); s.FileDigest != nil && *s.FileDigest != "sha256:"+hex.EncodeToString(sum[:]) {
		return authority.Filter{}, nil, fmt.Errorf("%s: its digest is sha256:%x, not %s as spec.run.seccomp.fileDigest says", *s.File, sum, *s.FileDigest)
	}
	f, err := policyfile.Decode(*s.File, content)
	if err != nil {
		return authority.Filter{}, nil, prefixed(*s.File, err)
	}
	var notes []string
	for _, n := range f.Notes {
		notes = append(notes, *s.File+": "+n)
	}
	return authority.Filter{Name: *s.File, From: fromDocument, Policy: f.Policy, Program: f.Program}, notes, nil
}

// prefixed puts a file's name before each of the errors joined in err.
func prefixed(file string, err error) error {
	var errs []error
	for _, e := range cli.Split(err) {
		errs = append(errs, fmt.Errorf("%s: %w", file, e))
	}
	return errors.Join(errs...)
}

// operatorFilter reads the two variables; nil if they ask for no filter.
func operatorFilter(env cli.Environment) (*authority.Filter, []string, error) {
	var e seccomp.Env
	e.Profile = seccomp.Variable{Value: env.Vars.Text(variable.SubprocessSeccomp), Set: env.Vars.Set(variable.SubprocessSeccomp)}
	e.Path.Value, e.Path.Set = env.Vars.Path(variable.SeccompBPFPath)
	if !e.Profile.Set && !e.Path.Set {
		return nil, nil, nil
	}
	s, err := e.Select(seccomp.ReadFile)
	if err == nil {
		err = s.Check()
	}
	switch {
	case err != nil:
		return nil, nil, err
	case s.Path != "":
		return &authority.Filter{Name: s.Path, From: seccomp.EnvPath, Program: s.Program}, s.Warnings, nil
	case s.Profile != "":
		p, err := seccomp.Profile(s.Profile)
		if err != nil {
			return nil, nil, err
		}
		return &authority.Filter{Name: s.Profile, From: seccomp.EnvProfile, Policy: p}, s.Warnings, nil
	}
	return nil, s.Warnings, nil
}

// seccompFlag reads one value of --seccomp: a profile, or the file of a policy or a program. Both may be given, each once.
func (g *grants) seccompFlag(v string, env cli.Environment) error {
	_, unknown := seccomp.Profile(v)
	_, missing := os.Lstat(v)
	switch {
	case unknown == nil && g.seccomp.Profile != "", unknown != nil && g.seccomp.File != nil:
		return errors.New("a second one; one profile and one file are possible")
	case unknown == nil:
		g.seccomp.Profile = v
		return nil
	case missing != nil && !strings.Contains(v, "/"):
		return fmt.Errorf("neither a profile nor a file: profiles are %s, with +net-none or +debug added", strings.Join(seccomp.Profiles(), ", "))
	}
	if !filepath.IsAbs(v) {
		wd, err := env.Getwd()
		if err != nil {
			return err
		}
		v = filepath.Join(wd, v)
	}
	if err := lengths(v); err != nil {
		return err
	}
	v = filepath.Clean(v)
	g.seccomp.File = &v
	return nil
}

// seccompAsked is what --seccomp asks for in a document's words; nil if it was not given.
func (g *grants) seccompAsked() *document.Seccomp {
	if g.seccomp == (document.Seccomp{}) {
		return nil
	}
	s := g.seccomp
	s.Profile = cmp.Or(s.Profile, "hardened")
	return &s
}
