package sinks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/jetstream"
	"cellos.io/cellos/evidence/redact"

	signed "cellos.io/cellos/evidence/transport"
	"cellos.io/cellos/variable"
)

// Leaving is what flags and variables say about how the events of a run leave it.
type Leaving struct {
	events     string   // --events
	sinks      []string // --sink
	onLoss     string   // --on-evidence-loss
	Documented bool     // the variables of cellos-supervisor count
	Tags       *admission.Tags
}

const SinkUsage = `  --sink SINK             send the events to a server too; may be given several times. SINK is one argument of words: what it is, then options
                            https://HOST/PATH [batch]     CloudEvents over HTTP
                            otlp+http://HOST:4318         OpenTelemetry logs
                            nats://HOST:4222 [subject=S]  NATS JetStream, acknowledged
                            file:PATH, stdout
                          before it, best-effort: the run goes on without it; options for all servers: spool=DIR (keep there what
                          cannot be delivered), patience=10s, ca=FILE, token-file=FILE
  --on-evidence-loss kill|block
                          when a sink takes nothing: end the command (the default), or stop it until the sink does
`

var SinkFlagNames = []string{"--events", "--sink", "--on-evidence-loss"}

// Register adds the flags to a set.
func (l *Leaving) Register(set *flag.FlagSet) {
	set.Func("events", "", func(v string) error {
		if l.events = v; v == "" {
			return errors.New("write a file, or - for standard output")
		}
		return nil
	})
	set.Func("sink", "", func(v string) error {
		l.sinks = append(l.sinks, v)
		_, err := parseSink(v)
		return err
	})
	set.Func("on-evidence-loss", "", func(v string) error {
		if l.onLoss = v; v != "kill" && v != "block" {
			return errors.New("neither kill nor block")
		}
		return nil
	})
}

// Files are those that no command may read: the tokens for servers.
func (l Leaving) Files(vars variable.Env) (list []string) {
	for _, text := range append(vars.List(variable.Sinks), l.sinks...) {
		if spec, err := parseSink(text); err == nil && spec.options["token-file"] != "" {
			list = append(list, spec.options["token-file"])
		}
	}
	return list
}

// A leave is how the events of one run leave it.
type leave struct {
	Outputs []evidence.Output
	Redact  func(eventType string, data []byte) ([]byte, error)
	Wrap    func(evidence.Event) (evidence.Event, error)
	Held    func(error)
}

// close closes the sinks of a run that did not begin.
func (v *leave) close() {
	for _, o := range v.Outputs {
		o.Sink.Close()
	}
}

// Open opens everything. What cannot be used is an error, and all errors are told.
func (l Leaving) Open(doc *document.Document, runID string, env cli.Environment, ui *cli.Console) (*leave, error) {
	v := &leave{}
	f := cli.Failure{Code: cli.ExitRefused}
	problem := func(err error) {
		if err != nil {
			f.Errs = append(f.Errs, cli.Split(err)...)
		}
	}
	add := func(name string, s evidence.Sink, best bool, err error) {
		problem(err)
		if err == nil {
			v.Outputs = append(v.Outputs, evidence.Output{Name: name, Sink: s, BestEffort: best, OnError: lossNote(ui, name)})
		}
	}
	if l.Documented {
		problem(l.variables(v, add, doc, runID, env))
	}
	switch l.events {
	case "":
	case "-":
		add("event stream", evidence.WriterSink(env.Out), false, nil)
	default:
		s, err := evidence.OpenShared(l.events, 0o666)
		add("event stream", s, false, named("event stream", err))
	}
	for _, text := range append(env.Vars.List(variable.Sinks), l.sinks...) {
		spec, err := parseSink(text)
		if err != nil {
			problem(fmt.Errorf("sink %s: %w", cli.Quote(cli.Brief(text)), err))
			continue
		}
		s, err := spec.open(doc, env, ui)
		add(spec.name(), s, spec.best, named("sink "+spec.shown(), err))
	}
	word, err := env.Vars.Word(variable.OnEvidenceLoss)
	problem(err)
	if l.onLoss == "block" || l.onLoss == "" && word == "block" {
		v.Held = heldNote(ui)
	}
	if len(f.Errs) > 0 {
		v.close()
		return nil, f
	}
	return v, nil
}

func named(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// lossNote tells once that a best-effort sink does not take the events.
func lossNote(ui *cli.Console, name string) func(evidence.Event, error) {
	var once sync.Once
	return func(_ evidence.Event, err error) {
		once.Do(func() { ui.Note(name + " does not take the events of this run: " + err.Error()) })
	}
}

// heldNote tells that the command stands, and why.
func heldNote(ui *cli.Console) func(error) {
	return func(err error) {
		if err != nil {
			ui.Note("the command is stopped until its evidence can be written: " + err.Error())
		} else {
			ui.Note("the command goes on")
		}
	}
}

// patience is how long a delivery is tried before its event counts as lost: a server that is started again is back by then.
const patience = 10 * time.Second

// A documented is what the documented variables ask for that needs no server and no file of events: dead letters, signing, redaction.
type documented struct {
	dead   *deadletter.Dir
	signer *signed.Signer
	Errs   []error
}

// Read reads it. What cannot be used is an error, as it is for a run.
func (l Leaving) Read(vars variable.Env) (d documented) {
	var err error
	if path := vars.Line(variable.DLQDir); path != "" {
		if d.dead, err = deadletter.Open(path); err != nil {
			d.Errs = append(d.Errs, variable.Errorf(variable.DLQDir, "%v", err))
		}
	}
	d.signer, err = signed.FromEnv(vars.Raw)
	if err != nil && l.Tags.On(admission.Unsigned) {
		l.Tags.Use(admission.Unsigned)
	} else if err != nil {
		d.Errs = append(d.Errs, err)
	}
	noop, required := vars.Is(variable.UseNoopSink), vars.Is(variable.RequireJetStream)
	if noop && required {
		d.Errs = append(d.Errs, cli.NewMistake("CELL_OS_USE_NOOP_SINK and CELL_OS_REQUIRE_JETSTREAM contradict each other", "unset one of them: it counts that they are set, and not to what"))
	}
	return d
}

// variables opens what the documented variables ask for: JetStream, the mirror file, dead letters, signing, redaction.
func (l Leaving) variables(v *leave, add func(string, evidence.Sink, bool, error), doc *document.Document, runID string, env cli.Environment) error {
	vars := env.Vars
	d := l.Read(vars)
	if d.signer != nil {
		v.Wrap = d.signer.Wrap
	}
	v.Redact = redact.Fields(vars.List(variable.RedactEventFields))
	if !vars.Is(variable.UseNoopSink) && (vars.Is(variable.RequireJetStream) || vars.Line(variable.NATSURL) != "") {
		s, err := l.natsSink(d.dead, doc, runID, vars)
		add("primary sink", s, false, err)
	}
	if path, set := vars.Path(variable.JSONLEvents); set {
		f, err := evidence.OpenShared(path, 0o666)
		switch {
		case err != nil:
			d.Errs = append(d.Errs, variable.Errorf(variable.JSONLEvents, "%v", err))
		case d.dead != nil:
			add("jsonl sink", deadletter.Behind(f, d.dead), false, nil)
		default:
			add("jsonl sink", f, false, nil)
		}
	}
	return errors.Join(d.Errs...)
}

// natsSink is the documented primary sink, connected.
func (l Leaving) natsSink(dead *deadletter.Dir, doc *document.Document, runID string, vars variable.Env) (evidence.Sink, error) {
	roots, err := rootsWith(vars.Line(variable.NATSCAFile))
	if err != nil {
		return nil, variable.Errorf(variable.NATSCAFile, "%v", err)
	}
	url := vars.Line(variable.NATSURL)
	if url == "" {
		url = "nats://127.0.0.1:4222"
	}
	p, err := jetstream.New(jetstream.Config{URL: url, Subject: Subject(vars, doc, runID), Roots: roots})
	if err != nil {
		return nil, variable.Errorf(variable.NATSURL, "%v", err)
	}
	if err := p.Connect(context.Background()); err != nil {
		if dead == nil || !l.Tags.On(admission.DLQOnly) {
			return nil, cli.NewMistake("NATS_URL: "+err.Error(), "events are sent nowhere else instead; CELL_OS_USE_NOOP_SINK asks for a run without JetStream, CELLOS_COMPAT_ALLOW=dlq-only with CELLOS_DLQ_DIR for letters")
		}
		l.Tags.Use(admission.DLQOnly)
		return delivery.New(p, delivery.Config{Spool: dead}), nil
	}
	return delivery.New(p, delivery.Config{Patience: patience, Spool: dead}), nil
}

const defaultSubject = "cellos.events.v1"

// Subject is what the events are published under.
func Subject(vars variable.Env, doc *document.Document, runID string) string {
	tenant := "_no_tenant_"
	if c := doc.Spec.Correlation; c != nil && c.TenantID != nil {
		tenant = *c.TenantID
	}
	if template, _ := vars.Lookup(string(variable.EventsSubjectTemplate)); strings.TrimSpace(template) != "" {
		return strings.NewReplacer("{spec_id}", doc.Spec.ID, "{run_id}", runID, "{tenantId}", tenant).Replace(template)
	}
	if t := vars.Line(variable.TenantID); t != "" {
		return fmt.Sprintf("cellos.events.%s.%s.%s", t, doc.Spec.ID, runID)
	}
	if s, set := vars.Lookup(string(variable.EventsSubject)); set {
		return s
	}
	return "cellos.events.v1"
}
