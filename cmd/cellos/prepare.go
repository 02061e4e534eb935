package main

import (
	"cmp"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/certificates"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/records"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
	"cellos.io/cellos/document"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// An asked is what a command line asks for: a document, wherever it came from.
type asked struct {
	backend string            // --backend
	pool    backends.PoolFlag // --pool
	doc     *document.Document
	data    []byte // as read, or as written for an ad-hoc run
	grants  *grants
	name    string // of the document, for messages

	durable  bool            // --durable
	watch    bool            // --watch
	scrub    string          // --scrub-output; "": not given
	signing  records.Signing // --signer
	leaving  sinks.Leaving   // --events, --sink and the variables of sinks
	operator operatorLimits  // of the drop-in
	notes    []string        // what the person should know before it starts

	from     *configuration       // of the drop-in; nil: none
	decision admission.Decision   // on the document
	calls    func(cell.Call)      // told of every system call that the supervisor answers; may be nil
	end      supervisor.End       // how the run ended
	folder   string               // of the socket that serves secrets; "": there is none
	trusted  *certificates.Folder // certificates of the cell; nil: those of the host alone
	release  func()               // removes both
}

// readAsked takes the document from a file, or makes it from the flags and the command behind "--".
func readAsked(command string, g *grants, file string, rest []string, dashed bool, env cli.Environment) (*asked, error) {
	switch {
	case dashed && file != "":
		return nil, cli.NewMistake("a document and a command were given", "the command belongs into the document: spec.run.argv").At(command)
	case !dashed && file != "" && len(rest) > 0:
		return nil, cli.NewMistake("two documents were given", "").At(command)
	case !dashed && file == "" && len(rest) == 0, dashed && len(rest) == 0:
		return nil, cli.NewMistake("a command or a document is missing", "cellos "+command+" -- COMMAND, or cellos "+command+" DOCUMENT").At(command)
	case !dashed && g.set:
		return nil, cli.NewMistake("flags that grant something go with a command, not with a document", "write the grants into the document, or run cellos "+command+" FLAGS -- COMMAND").At(command)
	}
	if dashed {
		doc, err := g.document(rest, env)
		if err != nil {
			return nil, err
		}
		if err := g.check(doc); err != nil {
			return nil, err
		}
		data, err := doc.JSON()
		return &asked{doc: doc, data: data, grants: g}, err
	}
	if file == "" {
		file = rest[0]
	}
	doc, data, err := readDocument(file, env)
	if err != nil {
		if _, serr := os.Lstat(file); serr != nil && file != "-" {
			return nil, withHint(err, "to run a command, put -- before it: cellos "+command+" -- "+file)
		}
		return nil, err
	}
	return &asked{doc: doc, data: data, grants: g, name: file}, nil
}

// readDocument reads a document; everything wrong with it becomes a line of its own.
func readDocument(file string, env cli.Environment) (*document.Document, []byte, error) {
	data, err := document.Read(file, env.In)
	if err != nil {
		return nil, nil, cli.Failure{Code: cli.ExitUsage, Errs: []error{err}}
	}
	doc, err := document.Parse(file, data)
	var problems document.Problems
	if errors.As(err, &problems) {
		f := cli.Failure{Code: cli.ExitUsage}
		for _, p := range problems {
			f.Errs = append(f.Errs, errors.New(p.In(file)))
		}
		return nil, nil, f
	}
	if err != nil {
		return nil, nil, cli.Failure{Code: cli.ExitUsage, Errs: []error{err}}
	}
	return doc, data, nil
}

func withHint(err error, hint string) error {
	var f cli.Failure
	if errors.As(err, &f) && len(f.Errs) == 1 {
		return cli.Failure{Code: f.Code, Errs: []error{cli.NewMistake(f.Errs[0].Error(), hint)}}
	}
	return err
}

// planned goes from the document to the plan of this host.
func (a *asked) planned(env cli.Environment, to backends.Chosen) (*authority.Authority, *plan.Plan, error) {
	wd, err := env.Getwd()
	if err != nil && a.doc.Spec.Run != nil && a.doc.Spec.Run.WorkingDirectory == nil {
		return nil, nil, noPlace(err)
	}
	auth, err := authority.Of(a.doc, authority.Place{WorkingDirectory: wd})
	if err != nil {
		return nil, nil, a.refused(cli.ExitUsage, cli.Split(err))
	}
	a.operator.narrow(auth)
	auth.OnHost = a.grants.network.host
	if asked, err := env.Vars.On(variable.ScrubOutput); err != nil {
		return nil, nil, cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	} else if asked {
		auth.Scrub = cmp.Or(auth.Scrub, string(variable.ScrubOutput))
	}
	auth.Scrub = cmp.Or(auth.Scrub, a.scrub)
	if auth.Filters, a.notes, err = a.filters(env); err != nil {
		return nil, nil, err
	}
	if a.calls != nil {
		auth.Watch = authority.WatchEvery
	}
	if a.from != nil {
		a.from.narrow(auth, a.decision)
		a.from.loosen(auth)
	}
	if !to.Asks {
		if a.folder, a.release, err = secretsFolder(auth, env); err != nil {
			return nil, nil, cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
		}
	}
	if err := a.trusting(auth, to, env); err != nil {
		return nil, nil, a.refused(cli.ExitRefused, cli.Split(err))
	}
	h, err := host.Describe(plan.Paths(auth), slices.Concat(cli.Private(env), rooted(a.signing.Files(), a.leaving.Files(env.Vars)), to.Own)...)
	if err == nil {
		h.Cgroups, err = groups(auth, env)
		if auth.OnHost {
			h.ResolvConf, h.Hosts = hostFile("/etc/resolv.conf"), hostFile("/etc/hosts")
		}
	}
	if err != nil {
		return nil, nil, cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	}
	p, err := to.Plan(auth, h)
	if err != nil {
		return nil, nil, a.refused(cli.ExitRefused, cli.Split(err))
	}
	return auth, p, nil
}

// close gives back what planned made.
func (a *asked) close() {
	if a.release != nil {
		a.release()
	}
}

// rooted are the paths of files, as seen from the root.
func rooted(lists ...[]string) (list []string) {
	for _, path := range slices.Concat(lists...) {
		if p, err := filepath.Abs(path); err == nil { // without a working directory a relative path was not opened either
			list = append(list, p)
		}
	}
	return list
}

// refused puts refusals into the words of whoever asked: fields of a document, or flags.
func (a *asked) refused(code int, errs []error) error {
	f := cli.Failure{Code: code}
	for _, err := range errs {
		r, ok := err.(plan.Refusal)
		if !ok {
			f.Errs = append(f.Errs, err)
			continue
		}
		text := r.Error()
		if a.name == "" && r.From != "" {
			text = a.grants.flagOf(r.From) + ": " + r.Text
		}
		f.Errs = append(f.Errs, cli.NewMistake(text, r.Remedy))
	}
	return f
}

// newFlags makes the flag set of a command that takes a document or a command.
func newFlags(command string, g *grants, file *string, env cli.Environment) *flag.FlagSet {
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	g.register(set, env)
	set.StringVar(file, "file", "", "")
	return set
}
