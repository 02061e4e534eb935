package e2e

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// A projection is a consumer that reads the documented events of many runs and knows where each of them stands. It looks at documented
// types only, but binds the identifiers of every event that has some, as consumers of the existing program do. Runs are told apart by
// their spec.id.
type projection struct {
	seen map[string]bool // ids of events
	runs map[string]*projected
}

// A projected run.
type projected struct {
	bound     map[string]any // specId, cellId, runId, placement
	started   bool
	identity  string // "", "ready", "failed" or "revoked"
	lastError string
	exit      *float64 // exit code, once the command completed
	export    string   // "", "succeeded" or "failed"
	destroyed string   // "", "destroyed" or "destroyFailed"
}

func newProjection() *projection {
	return &projection{seen: map[string]bool{}, runs: map[string]*projected{}}
}

// apply takes one event. An event that does not fit what came before is an error, and changes nothing but what it binds.
func (p *projection) apply(line []byte) error {
	var e struct {
		ID, Type string
		Data     map[string]any
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if e.Type == "dev.cellos.events.signed_envelope.v1" {
		inner, err := json.Marshal(e.Data["event"])
		if err != nil {
			return err
		}
		return p.apply(inner)
	}
	switch {
	case p.seen[e.ID]:
		return nil
	case e.Data == nil:
		return fmt.Errorf("%s has no data", e.Type)
	}
	p.seen[e.ID] = true
	cell, _ := e.Data["specId"].(string)
	if cell == "" {
		cell, _ = e.Data["cellId"].(string)
	}
	if cell == "" {
		return nil
	}
	r := p.runs[cell]
	if r == nil {
		r = &projected{bound: map[string]any{}}
		p.runs[cell] = r
	}
	for _, k := range []string{"specId", "cellId", "runId", "placement"} {
		v := e.Data[k]
		switch old := r.bound[k]; {
		case v == nil:
		case old == nil:
			r.bound[k] = v
		case !reflect.DeepEqual(old, v):
			return fmt.Errorf("%s: %s of %s is %v, and was %v", cell, k, e.Type, v, old)
		}
	}
	if err := r.step(e.Type, e.Data); err != nil {
		return fmt.Errorf("%s: %w", cell, err)
	}
	return nil
}

func (r *projected) step(kind string, data map[string]any) error {
	text := func(k string) string { s, _ := data[k].(string); return s }
	need := func(ok bool) error {
		if !ok {
			return fmt.Errorf("%s does not fit the state %s", kind, r.state())
		}
		return nil
	}
	const cell = "dev.cellos.events.cell."
	switch kind {
	case cell + "lifecycle.v1.started":
		if err := need(r.state() == "pending"); err != nil {
			return err
		}
		r.started = true
	case cell + "identity.v1.materialized", cell + "identity.v1.failed", cell + "identity.v1.revoked":
		failed := kind == cell+"identity.v1.failed"
		if err := need(r.started && r.destroyed == "" && !(failed && text("operation") == "materialize" && r.exit != nil)); err != nil {
			return err
		}
		r.identity = map[string]string{cell + "identity.v1.materialized": "ready", cell + "identity.v1.failed": "failed", cell + "identity.v1.revoked": "revoked"}[kind]
		if failed {
			r.lastError = text("reason")
		}
	case cell + "command.v1.completed":
		code, ok := data["exitCode"].(float64)
		if err := need(ok && r.started && r.exit == nil && r.identity != "failed"); err != nil {
			return err
		}
		r.exit = &code
	case cell + "export.v2.completed", cell + "export.v2.failed":
		if err := need(r.exit != nil); err != nil {
			return err
		}
		r.export = "succeeded"
		if kind == cell+"export.v2.failed" {
			r.export, r.lastError = "failed", text("reason")
		}
	case cell + "lifecycle.v1.destroyed":
		if err := need(r.state() != "pending"); err != nil {
			return err
		}
		r.destroyed = "destroyed"
		if reason, failed := data["reason"]; failed {
			r.destroyed, r.lastError = "destroyFailed", fmt.Sprint(reason)
		}
	}
	return nil
}

// state is where the run stands: the first that holds.
func (r *projected) state() string {
	switch {
	case r.destroyed != "":
		return r.destroyed
	case r.export == "succeeded":
		return "exportSucceeded"
	case r.export == "failed":
		return "exportFailed"
	case r.exit != nil && *r.exit == 0:
		return "commandSucceeded"
	case r.exit != nil:
		return "commandFailed"
	case r.identity == "ready", r.identity == "revoked":
		return "identityReady"
	case r.identity == "failed":
		return "identityFailed"
	case r.started:
		return "started"
	}
	return "pending"
}
