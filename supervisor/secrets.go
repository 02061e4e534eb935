package supervisor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"cellos.io/cellos/document"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/secret"
)

// Secrets gets the secrets of a run and delivers them. The supervisor calls Identity and Deliver before the cell is built, Withdraw when
// the command has ended, and Revoke when the cell is gone; the last two always, in this order.
type Secrets interface {
	// Identity gets the credential of the document's identity, if it has one.
	Identity(ctx context.Context) error
	// Deliver gets every other secret, begins to answer user uid of the host, and returns what is added to the command's environment.
	Deliver(ctx context.Context, uid uint32) ([]secret.Variable, error)
	// Answer answers a request that the cell's backend passes on: see cell.Streams. After Withdraw there is no answer.
	Answer(ctx context.Context, line []byte) []byte
	// Withdraw ends the delivery and wipes every value.
	Withdraw() error
	// Revoke gives back what the broker keeps.
	Revoke(ctx context.Context) error
}

// instant reports whether delivering the secrets asks nobody for anything, so that it has no events and need not be waited for.
func (l *life) instant() bool {
	s, ok := l.Secrets.(interface{ Instant() bool })
	return ok && s.Instant()
}

// answer is who answers requests that come through the backend; nil: nobody.
func (l *life) answer() func(context.Context, []byte) []byte {
	if l.Secrets == nil {
		return nil
	}
	return l.Secrets.Answer
}

// revokeTime bounds the end of a delivery; the record waits for it.
const revokeTime = 30 * time.Second

// materialize gets the secrets. What fails here leaves no event that the command started: there is none.
func (l *life) materialize(ctx context.Context) error {
	ctx, cancel := l.interruptible(ctx)
	defer cancel()
	err := l.Secrets.Identity(ctx)
	if i := l.Document.Spec.Identity; i != nil {
		var ev evidence.Payload = evidence.IdentityMaterialized{Identity: identity(i)}
		if err != nil {
			ev = evidence.IdentityFailed{Identity: identity(i), Operation: "materialize", Reason: err.Error()}
		}
		l.hasIdentity = err == nil
		err = errors.Join(err, l.append(ev))
	}
	if err == nil {
		l.delivered, err = l.Secrets.Deliver(ctx, l.Plan.IDs.HostUID)
	}
	if l.withheld = err != nil; l.withheld && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return err
}

func identity(i *document.Identity) evidence.Identity {
	return evidence.Identity{Kind: i.Kind, Provider: i.Provider, Audience: i.Audience, Subject: i.Subject, TTLSeconds: i.TTLSeconds, SecretRef: i.SecretRef}
}

// interruptible returns a context that a signal to the supervisor ends.
func (l *life) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for {
			select {
			case <-done:
				return
			case s := <-l.Signals:
				switch s {
				case syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT:
					n := s.(syscall.Signal)
					l.why.set(bySignal, int(n))
					cancel(fmt.Errorf("ended by signal %d (%v) to the supervisor", int(n), n))
				case syscall.SIGTSTP:
					if l.Stop != nil {
						l.Stop()
					}
				}
			}
		}
	}()
	return ctx, func() { close(done); <-heard; cancel(nil) }
}

// withdraw ends the delivery: the command has ended.
func (l *life) withdraw() {
	if l.Secrets != nil {
		l.fail(l.Secrets.Withdraw())
	}
}

// revoke gives the secrets back when the cell is gone, and tells of the identity.
func (l *life) revoke() {
	if l.Secrets == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTime)
	defer cancel()
	err := l.Secrets.Revoke(ctx)
	if err != nil {
		err = fmt.Errorf("secret revoke: %w", err)
	}
	if l.hasIdentity {
		id := identity(l.Document.Spec.Identity)
		if err != nil {
			l.fail(l.append(evidence.IdentityFailed{Identity: id, Operation: "revoke", Reason: err.Error()}))
		} else {
			l.fail(l.append(evidence.IdentityRevoked{Identity: id, Provenance: l.origin}))
		}
	}
	l.fail(err)
}
