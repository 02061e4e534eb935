package supervisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/overlay"
	"cellos.io/cellos/plan"
)

func (l *life) append(p evidence.Payload) error {
	e, err := l.events.Append(evidence.SourceSupervisor, p)
	if err == nil && p.Type() == evidence.TypeStarted { // and not e's, which may be a transport event
		l.origin = evidence.ProvenanceOf(evidence.Event{ID: e.ID, Type: p.Type()})
	}
	return err
}

// scope writes what the document asks of the network.
func (l *life) scope() error {
	return l.all(slices.Concat(l.Admitted.Before, l.declared(l.Document.CanonicalDigest()), l.Admitted.Names)...)
}

// opening writes what is known before the cell is measured.
func (l *life) opening(ctx context.Context) error {
	text := l.Plan.Text()
	sum := sha256.Sum256(text)
	if err := l.dir.WriteFile(record.PlanText, text); err != nil {
		return err
	}
	if err := l.compared(ctx); err != nil {
		return err
	}
	return l.all(append(l.started(), evidence.Plan{
		Backend:        l.Plan.Backend,
		Profile:        l.Admitted.Profile,
		SeccompProfile: l.Plan.Profile,
		Digest:         "sha256:" + hex.EncodeToString(sum[:]),
		Layers:         layers(l.Plan),
		Missing:        slices.Concat(l.Admitted.Missing, l.Plan.Missing),
		Network:        l.Plan.Network.String(),
		Egress:         l.egress(),
		CompatAllow:    l.Admitted.CompatAllow,
		Details:        planDetails(l.Plan, l.Authority, l.Certificate),
	})...)
}

// compared asks a backend that boots something what it is, where that was pinned.
func (l *life) compared(ctx context.Context) (err error) {
	b, ok := l.Backend.(interface {
		Boots(context.Context, *plan.Plan) (kernel, root, monitor string, err error)
	})
	if ok {
		l.boots[0], l.boots[1], l.boots[2], err = b.Boots(ctx, l.Plan)
	}
	return err
}

// all appends events up to the first that cannot be written.
func (l *life) all(list ...evidence.Payload) error {
	for _, p := range list {
		if err := l.append(p); err != nil {
			return err
		}
	}
	return nil
}

func layers(p *plan.Plan) (names []string) {
	for _, x := range p.Promises {
		names = append(names, x.Layer)
	}
	return names
}

// measured writes the boundary.
func (l *life) measured() error {
	b := l.boundary
	ev := evidence.Boundary{Start: b.Start.How, WaitedNanos: int64(b.Start.Waited)}
	for _, x := range b.Layers {
		ev.Layers = append(ev.Layers, evidence.Layer{Name: x.Name, Promised: x.Promised, ObservedInside: x.Inside, ObservedOutside: x.Outside, Holds: x.Holds})
	}
	for _, x := range b.Probes {
		ev.Probes = append(ev.Probes, evidence.Probe{Name: x.Name, Expected: x.Expects(), Got: x.Got, Holds: x.Holds})
	}
	if l.Document.Spec.Telemetry != nil {
		ev.NotCollected = []string{"telemetry"}
	}
	c := b.Caps
	return l.all(append([]evidence.Payload{ev, evidence.ContainerSecurity{
		Caps: &evidence.Capabilities{Inheritable: c.Inheritable, Permitted: c.Permitted, Effective: c.Effective, Bounding: c.Bounding, Ambient: c.Ambient},
	}}, l.policy()...)...)
}

// spawned is the last event before the release.
func (l *life) spawned() error {
	argv := l.Authority.Command.Argv
	return l.append(evidence.ProcessSpawned{Program: argv[0], Argc: len(argv)})
}

// closing writes how it ended, ends the cell, looks for what was left, and closes the chain.
func (l *life) closing() {
	phase := len(l.Authority.Command.Argv) > 0 && !l.withheld && (l.ran || l.spawn != nil || l.err != nil)
	exit := l.exitCode()
	l.fail(l.finishNetwork())
	if phase {
		l.fail(l.all(l.enforcement(exit)...))
		done := evidence.Completed{Argv: l.Authority.Command.Argv, ExitCode: exit, DurationMs: l.outcome.Duration.Milliseconds(), SpawnError: l.spawnError()}
		l.fail(l.append(done))
		l.fail(l.append(l.commandEvent()))
	}
	l.fail(l.files())
	l.withdraw()
	l.fail(l.export())
	l.fail(l.append(l.usage()))
	residue := cell.Residue{}
	if l.cell != nil {
		residue = l.cell.Destroy()
	} else if l.relay != nil {
		l.relay.Finish()
	}
	l.fail(l.closeNetwork())
	res := evidence.Residue{}
	for _, c := range residue.Checks {
		res.Checks = append(res.Checks, evidence.ResidueCheck{What: c.What, Found: c.Found})
	}
	l.fail(l.append(res))
	if !residue.Clean() {
		l.fail(fmt.Errorf("something was left of the cell: %v", residue.Checks))
	}
	l.revoke()
	var code *int
	if phase {
		code = &exit
	}
	l.fail(l.all(summary(l.Document, code, l.exercised())...))
	l.fail(l.events.Sync()) // so that the last event can say that another one was not taken
	l.fail(l.late.heed())
	end := evidence.Destroyed{TTLSeconds: l.Document.Spec.Lifetime.TTLSeconds, TenantID: tenant(&l.Document.Spec), Reason: l.reason(), TerminalState: l.terminalState()}
	if residue.Clean() {
		end.ResidueClass = "none"
	}
	_, err := l.events.Finish(evidence.SourceSupervisor, end)
	l.fail(err)
	l.fail(l.events.Close())
}

// files lists what changed in the working directory, with digests.
func (l *life) files() error {
	f := evidence.Files{}
	if l.cell != nil && l.cell.Changes() != nil && l.ran {
		lower := ""
		if l.Plan.Work.Mode == authority.Overlay {
			lower = l.Plan.Work.Path
		}
		list, err := overlay.Changes(l.cell.Changes(), lower, overlay.Limits{Done: l.late.hurry})
		if err != nil {
			return err
		}
		l.changed = &list
		f.Total, f.Truncated = list.Total, list.Deeper || list.Total > len(list.Changes)
		for _, c := range list.Changes {
			f.Changes = append(f.Changes, evidence.FileChange{
				Path: c.Path, Change: string(c.What), Kind: string(c.Kind), Mode: uint32(c.Mode & fs.ModePerm), SizeBytes: c.Size, SHA256: c.SHA256,
			})
		}
	}
	for _, part := range f.Split() {
		if err := l.append(part); err != nil {
			return err
		}
	}
	return nil
}

func correlation(c *document.Correlation) *evidence.Correlation {
	if c == nil {
		return nil
	}
	return &evidence.Correlation{
		Platform: c.Platform, ExternalRunID: c.ExternalRunID, ExternalJobID: c.ExternalJobID,
		Labels: c.Labels, TenantID: c.TenantID, CorrelationID: c.CorrelationID,
	}
}

func placement(p *document.Placement) evidence.Placement {
	var e evidence.Placement
	if p != nil {
		for _, x := range []struct {
			from *string
			to   *string
		}{{p.PoolID, &e.PoolID}, {p.KubernetesNamespace, &e.KubernetesNamespace}, {p.QueueName, &e.QueueName}} {
			if x.from != nil {
				*x.to = *x.from
			}
		}
	}
	return e
}

func tenant(s *document.Spec) string {
	if s.Correlation != nil && s.Correlation.TenantID != nil {
		return *s.Correlation.TenantID
	}
	return ""
}
