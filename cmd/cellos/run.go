package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"path"
	"runtime"
	"strings"
	"syscall"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/cmd/cellos/internal/records"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
	"cellos.io/cellos/evidence/redact"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret/scrub"
	"cellos.io/cellos/stream"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

func runCommand(args []string, env cli.Environment, ui *cli.Console) error {
	var g grants
	var file string
	set := newFlags("run", &g, &file, env)
	var out sinks.Leaving
	out.Register(set)
	var sign records.Signing
	sign.Register(set)
	durable := set.Bool("durable", false, "")
	watch := set.Bool("watch", false, "")
	clean := set.Bool("scrub-output", false, "")
	var backend string
	set.Func("backend", "", backends.Flag(&backend))
	var pool backends.PoolFlag
	set.Var(&pool, "pool", "")
	set.BoolVar(&ui.Quiet, "quiet", false, "")
	set.BoolVar(&ui.Quiet, "q", false, "")
	rest, dashed, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, runUsage)
		return err
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help run").At("run")
	}
	a, err := readAsked("run", &g, file, rest, dashed, env)
	if err != nil {
		return err
	}
	if *clean {
		a.scrub = "--scrub-output"
	}
	a.durable, a.watch, a.signing, a.leaving, a.backend, a.pool = *durable, *watch, sign, out, backend, pool
	return a.run(env, ui, nil)
}

// run lives the run and tells the person what went wrong. runID is what the events call it; nil: by its unique identity.
func (a *asked) run(env cli.Environment, ui *cli.Console, runID *string) error {
	if asked, err := env.Vars.On(variable.Durable); err != nil {
		return cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	} else if asked {
		a.durable = true
	}
	to, err := backends.Choose(a.backend, string(a.pool), env)
	if err != nil {
		return cli.Refusal(err)
	}
	var ahead *process.Ahead
	if to.Name == backends.BackendProcess {
		ahead = process.Begin()
		defer ahead.Close()
	}
	begun := a.beginNetwork(ui, env.Vars)
	defer begun(nil) // if the plan has none, or is refused
	signals, listening := listen()
	state, err := cli.StateDir(env)
	if err != nil {
		return cli.Failure{Code: cli.ExitRefused, Errs: []error{cli.NewMistake("no evidence, no execution: "+err.Error(), "set CELLOS_STATE to a folder of your own")}}
	}
	// The key is there before the plan is made: a plan keeps it out of the cell.
	key, err := a.signing.Signer(env, ui)
	if err != nil {
		return cli.Refusal(err)
	}
	defer a.close()
	auth, p, err := a.planned(env, to)
	if err != nil {
		return a.unpinned(to.Boots, err, runID, env, ui)
	}
	for _, n := range a.notes {
		ui.Note(n)
	}
	given, err := secrets(auth, a.grants, a.folder, env)
	if err != nil {
		return err
	}
	carried, err := exports(a.doc, a.durable, env)
	if err != nil {
		return err
	}
	called := "" // only the documented subjects have it in them
	if runID != nil {
		called = *runID
	}
	out, err := a.leaving.Open(a.doc, called, env, ui)
	if err != nil {
		return err
	}
	if home := env.Getenv("HOME"); auth.Work.Path == home && auth.Work.Mode != authority.Empty && a.name == "" {
		ui.Note("the working directory is your home directory: the command can read everything in it")
	}
	defer signal.Stop(signals)
	watched := a.watched(p)
	run := supervisor.Run{
		Document: a.doc, Bytes: a.data, Authority: auth, Plan: p, Backend: to.Cells(process.Backend{Ahead: ahead, Calls: watched.call}),
		Meters:  []supervisor.Meter{watched},
		Streams: stream.Ends{In: env.In, Out: env.Out, Err: env.Err},
		Signals: signals, Listening: listening, Stop: stop,
		State: state, RunID: runID, Outputs: out.Outputs, Redact: out.Redact, Wrap: out.Wrap, Held: out.Held,
		Signer: key, Durable: a.durable,
		Trust: a.trust(), Admitted: a.admitted(),
	}
	run.Folders = a.folders()
	known := &scrub.Set{Streamed: auth.Scrub != ""}
	defer known.Wipe()
	run.Known = known
	if given != nil {
		given.Known = known.Add
		ui.Scrub = known.Text
		if !given.Instant() {
			run.Redact = redact.Strings(known.Text, out.Redact)
		}
		run.Secrets, run.Meters = given, append(run.Meters, given)
	}
	if carried != nil {
		run.Exports = carried
	}
	config, err := a.gateConfig(auth, p, run.Trust)
	if err == nil {
		err = vouchers(&config, auth, env)
	}
	if err == nil {
		err = a.askFirst(config, &run.Admitted)
	}
	if err != nil {
		return cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	}
	var gated *network
	if p.Network.Device || len(p.Network.Sockets) > 0 {
		gated, err = begun(&config)
	}
	if err == nil {
		run.Certificate, err = a.vouched(gated, auth, given)
	}
	if err != nil {
		return cli.Failure{Code: cli.ExitRefused, Errs: []error{err}}
	}
	if gated != nil {
		run.Network = gated
	}
	end := run.Do(context.Background())
	a.end = end
	watched.say(ui)
	gated.tell()
	a.tell(end, auth, p, env.Vars.Text(variable.SearchPath), ui)
	if end.Code == 0 {
		return nil
	}
	if a.from != nil && end.Code == supervisor.ExitAfter {
		return cli.Status(1) // as the existing program has it
	}
	return cli.Status(end.Code)
}

// stop stops this process, and returns when it was continued. The signal goes to the calling thread, which takes it before it leaves
// the system call; one to the process may be taken by another thread, while this one goes on for a while (kernel/signal.c:
// complete_signal).
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGSTOP)
}

// listen begins to take signals, and closes listening when it does. It takes the runtime as long as the whole plan takes us, so both go
// on at once.
func listen() (signals chan os.Signal, listening <-chan struct{}) {
	signals = make(chan os.Signal, 16)
	ready := make(chan struct{})
	go func() {
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGWINCH, syscall.SIGTSTP, syscall.SIGCONT,
			syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
		close(ready)
	}()
	return signals, ready
}

// tell prints what went wrong, and what would help. search is the PATH of whoever called.
func (a *asked) tell(end supervisor.End, auth *authority.Authority, p *plan.Plan, search string, ui *cli.Console) {
	if end.Err == nil {
		if end.Code == 128+int(syscall.SIGSYS) {
			sigsys(p, ui)
		}
		return
	}
	var start *cell.StartError
	if errors.As(end.Err, &start) && start.Stage == "" {
		name := p.Boot.Candidates[0]
		if len(p.Boot.Candidates) > 1 {
			name = path.Base(name)
		}
		text, hint := startProblem(start, name, auth, p, search)
		ui.Error(text)
		ui.Hint(hint)
		return
	}
	for _, err := range cli.Split(end.Err) {
		ui.Print(a.inWords(err))
	}
}

// inWords puts a limit of an ad-hoc run that is named as a field of the document into the words of the command line.
func (a *asked) inWords(err error) error {
	before, rest, named := strings.Cut(err.Error(), "(spec.")
	field, after, closed := strings.Cut(rest, ")")
	if a.name != "" || !named || !closed {
		return err
	}
	return reworded{err, before + "(" + a.grants.flagOf("spec."+field) + ")" + after}
}

// A reworded error has another text, and the hint of the first.
type reworded struct {
	error
	text string
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.error }
