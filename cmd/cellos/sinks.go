package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/deadletter"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/evidence/jetstream"
	"cellos.io/cellos/evidence/redact"
	signed "cellos.io/cellos/evidence/transport"
	"cellos.io/cellos/variable"
)

// leaving is what flags and variables say about how the events of a run leave it.
type leaving struct {
	events     string   // --events
	sinks      []string // --sink
	onLoss     string   // --on-evidence-loss
	documented bool     // the variables of cellos-supervisor count
	tags       *admission.Tags
}

const sinkUsage = `  --sink SINK             send the events to a server too; may be given several times. SINK is one argument of words: what it is, then options
                            https://HOST/PATH [batch]     CloudEvents over HTTP
                            otlp+http://HOST:4318         OpenTelemetry logs
                            nats://HOST:4222 [subject=S]  NATS JetStream, acknowledged
                            file:PATH, stdout
                          before it, best-effort: the run goes on without it; options for all servers: spool=DIR (keep there what
                          cannot be delivered), patience=10s, ca=FILE, token-file=FILE
  --on-evidence-loss kill|block
                          when a sink takes nothing: end the command (the default), or stop it until the sink does
`

var sinkFlagNames = []string{"--events", "--sink", "--on-evidence-loss"}

func (l *leaving) register(set *flag.FlagSet) {
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

// files are those that no command may read: the tokens for servers.
func (l leaving) files(vars variable.Env) (list []string) {
	for _, text := range append(vars.List(variable.Sinks), l.sinks...) {
		if spec, err := parseSink(text); err == nil && spec.options["token-file"] != "" {
			list = append(list, spec.options["token-file"])
		}
	}
	return list
}

// A leave is how the events of one run leave it.
type leave struct {
	outputs []evidence.Output
	redact  func(eventType string, data []byte) ([]byte, error)
	wrap    func(evidence.Event) (evidence.Event, error)
	held    func(error)
}

// close closes the sinks of a run that did not begin.
func (v *leave) close() {
	for _, o := range v.outputs {
		o.Sink.Close()
	}
}

// open opens everything. What cannot be used is an error, and all errors are told.
func (l leaving) open(doc *document.Document, runID string, env environment, ui *console) (*leave, error) {
	v := &leave{}
	f := failure{code: exitRefused}
	problem := func(err error) {
		if err != nil {
			f.errs = append(f.errs, split(err)...)
		}
	}
	add := func(name string, s evidence.Sink, best bool, err error) {
		problem(err)
		if err == nil {
			v.outputs = append(v.outputs, evidence.Output{Name: name, Sink: s, BestEffort: best, OnError: lossNote(ui, name)})
		}
	}
	if l.documented {
		problem(l.variables(v, add, doc, runID, env))
	}
	switch l.events {
	case "":
	case "-":
		add("event stream", evidence.WriterSink(env.out), false, nil)
	default:
		s, err := evidence.OpenShared(l.events, 0o666)
		add("event stream", s, false, named("event stream", err))
	}
	for _, text := range append(env.vars.List(variable.Sinks), l.sinks...) {
		spec, err := parseSink(text)
		if err != nil {
			problem(fmt.Errorf("sink %s: %w", quote(brief(text)), err))
			continue
		}
		s, err := spec.open(doc, env, ui)
		add(spec.name(), s, spec.best, named("sink "+spec.shown(), err))
	}
	word, err := env.vars.Word(variable.OnEvidenceLoss)
	problem(err)
	if l.onLoss == "block" || l.onLoss == "" && word == "block" {
		v.held = heldNote(ui)
	}
	if len(f.errs) > 0 {
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
func lossNote(ui *console, name string) func(evidence.Event, error) {
	var once sync.Once
	return func(_ evidence.Event, err error) {
		once.Do(func() { ui.note(name + " does not take the events of this run: " + err.Error()) })
	}
}

// heldNote tells that the command stands, and why.
func heldNote(ui *console) func(error) {
	return func(err error) {
		if err != nil {
			ui.note("the command is stopped until its evidence can be written: " + err.Error())
		} else {
			ui.note("the command goes on")
		}
	}
}

// patience is how long a delivery is tried before its event counts as lost: a server that is started again is back by then.
const patience = 10 * time.Second

// A documented is what the documented variables ask for that needs no server and no file of events: dead letters, signing, redaction.
type documented struct {
	dead   *deadletter.Dir
	signer *signed.Signer
	errs   []error
}

// read reads it. What cannot be used is an error, as it is for a run.
func (l leaving) read(vars variable.Env) (d documented) {
	var err error
	if path := vars.Line(variable.DLQDir); path != "" {
		if d.dead, err = deadletter.Open(path); err != nil {
			d.errs = append(d.errs, variable.Errorf(variable.DLQDir, "%v", err))
		}
	}
	d.signer, err = signed.FromEnv(vars.Raw)
	if err != nil && l.tags.On(admission.Unsigned) {
		l.tags.Use(admission.Unsigned)
	} else if err != nil {
		d.errs = append(d.errs, err)
	}
	noop, required := vars.Is(variable.UseNoopSink), vars.Is(variable.RequireJetStream)
	if noop && required {
		d.errs = append(d.errs, mistake{"CELL_OS_USE_NOOP_SINK and CELL_OS_REQUIRE_JETSTREAM contradict each other", "unset one of them: it counts that they are set, and not to what"})
	}
	return d
}

// variables opens what the documented variables ask for: JetStream, the mirror file, dead letters, signing, redaction.
func (l leaving) variables(v *leave, add func(string, evidence.Sink, bool, error), doc *document.Document, runID string, env environment) error {
	vars := env.vars
	d := l.read(vars)
	if d.signer != nil {
		v.wrap = d.signer.Wrap
	}
	v.redact = redact.Fields(vars.List(variable.RedactEventFields))
	if !vars.Is(variable.UseNoopSink) && (vars.Is(variable.RequireJetStream) || vars.Line(variable.NATSURL) != "") {
		s, err := l.natsSink(d.dead, doc, runID, vars)
		add("primary sink", s, false, err)
	}
	if path, set := vars.Path(variable.JSONLEvents); set {
		f, err := evidence.OpenShared(path, 0o666)
		switch {
		case err != nil:
			d.errs = append(d.errs, variable.Errorf(variable.JSONLEvents, "%v", err))
		case d.dead != nil:
			add("jsonl sink", deadletter.Behind(f, d.dead), false, nil)
		default:
			add("jsonl sink", f, false, nil)
		}
	}
	return errors.Join(d.errs...)
}

// natsSink is the documented primary sink, connected.
func (l leaving) natsSink(dead *deadletter.Dir, doc *document.Document, runID string, vars variable.Env) (evidence.Sink, error) {
	roots, err := rootsWith(vars.Line(variable.NATSCAFile))
	if err != nil {
		return nil, variable.Errorf(variable.NATSCAFile, "%v", err)
	}
	url := vars.Line(variable.NATSURL)
	if url == "" {
		url = "nats://127.0.0.1:4222"
	}
	p, err := jetstream.New(jetstream.Config{URL: url, Subject: subject(vars, doc, runID), Roots: roots})
	if err != nil {
		return nil, variable.Errorf(variable.NATSURL, "%v", err)
	}
	if err := p.Connect(context.Background()); err != nil {
		if dead == nil || !l.tags.On(admission.DLQOnly) {
			return nil, mistake{"NATS_URL: " + err.Error(), "events are sent nowhere else instead; CELL_OS_USE_NOOP_SINK asks for a run without JetStream, CELLOS_COMPAT_ALLOW=dlq-only with CELLOS_DLQ_DIR for letters"}
		}
		l.tags.Use(admission.DLQOnly)
		return delivery.New(p, delivery.Config{Spool: dead}), nil
	}
	return delivery.New(p, delivery.Config{Patience: patience, Spool: dead}), nil
}

const defaultSubject = "cellos.events.v1"

// subject is what the events are published under.
func subject(vars variable.Env, doc *document.Document, runID string) string {
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
