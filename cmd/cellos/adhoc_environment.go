package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/secret/broker"
)

// environmentOf reads NAME=VALUE, or NAME for the value that the caller has. Nothing else is passed on.
func environmentOf(list []string, tty bool, env cli.Environment) (map[string]string, error) {
	m := map[string]string{}
	if t := env.Getenv("TERM"); tty && t != "" {
		m["TERM"] = t
	}
	for _, v := range list {
		name, value, given := strings.Cut(v, "=")
		if name == "" {
			return nil, cli.NewMistake("--env "+cli.Quote(cli.Brief(v))+": the name is empty", "write NAME=VALUE, or NAME for the value that you have").At("")
		}
		if !given {
			if value, given = lookup(env.Environ(), name); !given {
				return nil, cli.NewMistake("--env "+cli.Brief(name)+": you have no such variable", "write "+cli.Brief(name)+"=VALUE").At("")
			}
		}
		m[name] = value
	}
	if len(m) == 0 {
		return nil, nil
	}
	return m, nil
}

func lookup(environ []string, name string) (string, bool) {
	for _, v := range environ {
		if n, value, ok := strings.Cut(v, "="); ok && n == name {
			return value, true
		}
	}
	return "", false
}

// A grantedSecret is one of --secret: a variable of the caller's, or a file.
type grantedSecret struct {
	name, file string
	implied    bool // by --inject; --secret may still say where it is
}

// secretFlag reads NAME or NAME=FILE. What follows the name may be a value that somebody took for a file: it is in no message, and so the name
// must be one before it is in a message.
func (g *grants) secretFlag(v string) {
	name, file, given := strings.Cut(v, "=")
	switch {
	case name == "" || given && file == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != "":
		g.badSecret = "write NAME, or NAME=FILE; a name has letters, digits, dots, underscores and dashes"
	case slices.ContainsFunc(g.secrets, func(s grantedSecret) bool { return s.name == name && s.implied }):
		i := slices.IndexFunc(g.secrets, func(s grantedSecret) bool { return s.name == name })
		g.secrets[i] = grantedSecret{name: name, file: file}
		return
	case slices.ContainsFunc(g.secrets, func(s grantedSecret) bool { return s.name == name }):
		g.badSecret = cli.Brief(name) + " is given twice"
	}
	g.secrets = append(g.secrets, grantedSecret{name: name, file: file})
}

// secretNames are the names for the document. That the caller has the values is said now, and not when everything else stands.
func (g *grants) secretNames(env cli.Environment) ([]string, error) {
	if g.badSecret != "" {
		return nil, cli.NewMistake("--secret: "+g.badSecret, "").At("")
	}
	names := []string{}
	for _, s := range g.secrets {
		names = append(names, s.name)
		shown := "--secret " + cli.Brief(s.name)
		if s.file == "" {
			if _, have := lookup(env.Environ(), s.name); !have {
				return nil, cli.NewMistake(shown+": you have no such variable", "name a file: --secret "+cli.Brief(s.name)+"=FILE").At("")
			}
		} else if _, err := os.Lstat(s.file); errors.Is(err, fs.ErrNotExist) {
			return nil, cli.NewMistake(shown+"=…: there is no such file", "what follows = is a file: a value on the command line can be read by others").At("")
		}
	}
	return names, nil
}

// broker finds them.
func (g *grants) broker(env cli.Environment) broker.Broker {
	b := broker.Caller{Lookup: func(name string) (string, bool) { return lookup(env.Environ(), name) }, Files: map[string]string{}}
	for _, s := range g.secrets {
		if s.file != "" {
			b.Files[s.name] = s.file
		}
	}
	return b
}
