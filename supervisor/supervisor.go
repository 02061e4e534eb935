// Package supervisor is the life of one run: it records what was asked, has the cell built and measured, releases the
// command, watches over it, and writes the events of all that.
//
//	end := supervisor.Run{Document: doc, Bytes: data, Authority: a, Plan: p, Backend: process.Backend{}, …}.Do(ctx)
//	os.Exit(end.Code)
//
// The order is fixed (docs/events.md): everything that can refuse does so before the event started; the boundary is
// measured and written before the command's first instruction; the look for leftovers comes before the last event. Without evidence nothing
// runs. The package knows no flags and no variables; they are the command line's.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/overlay"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/scrub"
	"cellos.io/cellos/stream"
)

// Exit codes of a run, besides the command's own.
const (
	ExitAfter    = 123 // the command succeeded, but evidence or teardown failed
	ExitTime     = 124 // the time limit
	ExitRefused  = 125 // refused, or could not start: nothing ran
	ExitCannot   = 126 // found, but not executable
	ExitNotFound = 127
	ExitSignal   = 128 // plus the signal's number
)

// A Run is everything that one run needs. It is used once.
type Run struct {
	Document  *document.Document
	Bytes     []byte // the document as read
	Authority *authority.Authority
	Plan      *plan.Plan
	Backend   cell.Backend

	Streams stream.Ends
	Signals <-chan os.Signal // what the supervisor is told; nil: nothing
	// Listening is closed when Signals hears; nil: it does. The record is not opened before, so that no signal leaves an open one.
	Listening <-chan struct{}
	Stop      func() // stops the supervisor itself, as the shell asked; nil: not

	State   string            // directory of the run records
	RunID   *string           // data.runId of the events; nil: the unique identity
	Outputs []evidence.Output // further sinks
	Trust   Trust

	Admitted Admitted        // what was decided before
	Signer   evidence.Signer // signs every event; nil: the events are not signed
	Durable  bool            // every event survives a crash of the machine before the run goes on
	Meters   []Meter         // what served the cell and counted; the cell of a backend is asked too, if it is one
	Network  Network         // serves the cell's network; nil: the plan has none

	Certificate string // digest of that of the network's own authority, "sha256:…"; "": it opens no TLS

	Secrets Secrets    // nil: the command has none
	Folders []string   // in the directory for temporary files, which a crash would leave: of the secrets' socket, of certificates
	Known   *scrub.Set // the values that are taken out of the output, where the authority says so
	Exports Exports    // nil: nothing is exported

	// Redact and Wrap are those of evidence.Config.
	Redact func(eventType string, data []byte) ([]byte, error)
	Wrap   func(evidence.Event) (evidence.Event, error)
	// Held, when given, stops the cell while a required sink takes nothing, and is told why, and with nil that it goes on. Nil: a
	// required sink that fails ends the command.
	Held func(error)
}

// Trust is who vouches for the events about names.
type Trust struct{ KeysetID, ResolverKid, L7Kid string }

// An End is how a run ended.
type End struct {
	Code   int   // exit status of the supervisor
	Err    error // what went wrong, apart from the command's own status; nil if nothing did
	Record string
	ID     string // name of the record, by which commands find it
}

// life is a run under way.
type life struct {
	Run
	id     string // unique identity
	dir    *record.Dir
	events *evidence.Stream
	cell   cell.Cell
	relay  *stream.Relay
	began  time.Time

	boundary    cell.Boundary
	outcome     cell.Outcome
	why         ending              // what ended the command, if it was not the command
	spawn       error               // the command could not be started
	ran         bool                // the command was released
	err         error               // the first error
	boots       [3]string           // digests of a machine's kernel, root and monitor that were compared with a manifest
	delivered   []secret.Variable   // what the command finds in its environment
	hasIdentity bool                // the document's identity was materialized
	withheld    bool                // the secrets could not be had
	changed     *overlay.List       // what changed in the working directory; nil if nobody looked
	origin      evidence.Provenance // the event started
	late        late                // a signal that came when the command had ended
	gone        error               // why the network could not go on
	release     func()              // ends the waiting for a sink that takes nothing
}

// Do lives the run from the first to the last event.
func (r Run) Do(ctx context.Context) End {
	l := &life{Run: r, id: evidence.NewID(), began: time.Now(), release: func() {}}
	// The cell is built while its record is opened and the first events are written: neither needs the other, and nothing of the
	// command can run before both are there.
	var built <-chan error
	instant := l.instant()
	if instant {
		l.fail(l.materialize(ctx))
	}
	if l.err == nil && l.Plan.Cgroup == nil && (l.Secrets == nil || instant) {
		built = l.build(ctx)
	}
	if l.Listening != nil {
		<-l.Listening
	}
	if err := l.open(); err != nil {
		l.discard(built)
		return End{Code: ExitRefused, Err: err}
	}
	l.fail(l.scope())
	if l.err == nil && l.Secrets != nil && !instant {
		l.fail(l.materialize(ctx))
	}
	if l.err == nil && built == nil { // a control group outlives a crash of the supervisor: its record says first where it will be
		built = l.build(ctx)
	}
	if l.err == nil {
		l.fail(l.opening(ctx))
	}
	if built != nil {
		l.fail(l.built(<-built))
	}
	if l.err == nil {
		l.fail(l.measure(ctx))
	}
	if l.err == nil && len(l.Authority.Command.Argv) > 0 {
		l.fail(l.command(ctx))
	}
	return l.conclude()
}

// fail keeps the first error.
func (l *life) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// open makes the run's record. From here on everything that happens is written there.
func (l *life) open() (err error) {
	if l.dir, err = record.Create(l.State, l.id, l.began); err != nil {
		return err
	}
	if err := l.dir.WriteFile(record.DocumentFile, l.Bytes); err != nil {
		return err
	}
	if g := l.Plan.Cgroup; g != nil {
		if err := l.dir.WriteFile(record.GroupsFile, []byte(strings.Join(g.Paths(), "\n")+"\n")); err != nil {
			return err
		}
	}
	if len(l.Folders) > 0 {
		if err := l.dir.WriteFile(record.FoldersFile, []byte(strings.Join(l.Folders, "\n")+"\n")); err != nil {
			return err
		}
	}
	return l.stream()
}

// stream opens the chain of events.
func (l *life) stream() (err error) {
	if l.RunID == nil {
		l.RunID = &l.id
	}
	l.events, err = evidence.Open(evidence.Config{
		Run:     evidence.Run{ID: l.id, CellID: l.Document.Spec.ID, SpecID: l.Document.Spec.ID, RunID: *l.RunID, Correlation: correlation(l.Document.Spec.Correlation)},
		Signer:  l.Signer,
		Redact:  l.Redact,
		Wrap:    l.Wrap,
		Head:    evidence.DocumentDigest(l.Bytes),
		Durable: l.Durable,
		Behind:  true,
		Outputs: append([]evidence.Output{{Name: "run record", Sink: l.dir.Events()}}, l.Outputs...),
	})
	return err
}

// discard ends a cell that has no record.
func (l *life) discard(built <-chan error) {
	if l.Network != nil {
		l.Network.Close()
	}
	if built != nil && <-built == nil {
		l.cell.Destroy()
	}
	if l.relay != nil {
		l.relay.Finish()
	}
	if l.dir != nil {
		l.dir.Close()
	}
}

// build has the cell built; the channel tells when it stands.
func (l *life) build(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() {
		ids := l.Plan.IDs
		opt := stream.Options{Limit: int64(l.Plan.Limits.Output), Full: l.why.full}
		if ids.ByParent {
			opt.Owner = &stream.Owner{UID: int(ids.HostUID), GID: int(ids.HostGID)}
		}
		if l.Authority.Scrub != "" {
			opt.Through = func(to io.Writer) io.WriteCloser { return l.Known.Writer(to) }
		}
		ends := l.Streams
		if l.Plan.Boot.Terminal {
			ends = stream.Ends{}
		}
		if l.Authority.Scrub != "" && l.Known == nil {
			done <- errors.New("nobody knows the values to take out of the output")
			return
		}
		var err error
		if l.relay, err = stream.Connect(ends, opt); err == nil {
			ctx, cancel := context.WithTimeoutCause(ctx, l.startTime(), fmt.Errorf("the cell did not stand after %v", l.startTime()))
			defer cancel()
			ends := l.relay.Cell
			l.cell, err = l.Backend.Build(ctx, l.Plan, cell.Streams{In: ends.In, Out: ends.Out, Err: ends.Err, Secrets: l.delivered, Answer: l.answer()})
		}
		done <- err
	}()
	return done
}

// startTime bounds every step between the first event and the release. A cell stands after milliseconds; the bound is for a host
// that is out of breath, not for a slow one.
const startTime = 30 * time.Second

// startTime is the bound for this backend: one that boots a machine says how long that may take.
func (l *life) startTime() time.Duration {
	if b, ok := l.Backend.(interface{ StartTime() time.Duration }); ok {
		return b.StartTime()
	}
	return startTime
}

// built takes the cell over; a cell that was built although the events could not be written goes at once.
func (l *life) built(err error) error {
	if err != nil {
		return err
	}
	l.relay.Start()
	return l.openNetwork()
}

// measure writes the boundary, and refuses to go on where it does not hold.
func (l *life) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.startTime(), fmt.Errorf("the boundary was not measured after %v", l.startTime()))
	defer cancel()
	var err error
	if l.boundary, err = l.cell.Measure(ctx); err != nil {
		return err
	}
	return errors.Join(l.measured(), l.boundary.Err())
}
