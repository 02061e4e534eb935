package gate

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
)

// A Recorder writes one event. An error means that nothing can be recorded any more: then nothing may pass any more.
type Recorder interface {
	Append(source string, p evidence.Payload) error
	// Sync returns when everything appended is written.
	Sync() error
	// Ahead appends a decision, and returns when it will be written whoever is killed.
	Ahead(source string, p evidence.Payload) error
}

// A journal writes the gate's decisions: every one while they are few, then some, and the others as numbers.
type journal struct {
	rec    Recorder
	trust  evidence.Trust
	l7     evidence.Trust
	failed func(error)
	deny   func(wire.Refused)

	mu      sync.Mutex
	pace    *rate.Limiter
	missed  map[[2]string]int64 // event type and reason
	since   time.Time
	refused map[string]int64
	asked   map[string]*evidence.AskedName
}

// Events of refusals: a burst that shows what goes on, then so many a second that a run of a day stays readable. An allowed
// connection is always written; its rate is bounded anyhow.
const (
	denialBurst = 100
	denialRate  = 10
)

func newJournal(rec Recorder, trust, l7 evidence.Trust, failed func(error), deny func(wire.Refused)) *journal {
	return &journal{rec: rec, trust: trust, l7: l7, failed: failed, deny: deny, pace: rate.NewLimiter(denialRate, denialBurst),
		missed: map[[2]string]int64{}, refused: map[string]int64{}, asked: map[string]*evidence.AskedName{}}
}

func (j *journal) append(source string, p evidence.Payload) error {
	err := j.rec.Append(source, p)
	if err != nil {
		j.failed(err)
	}
	return err
}

// decided writes the decision on a connection that is about to be made.
func (j *journal) decided(d evidence.FlowDecision) error {
	err := j.rec.Ahead(evidence.SourceSupervisor, d)
	if err != nil {
		j.failed(err)
	}
	return err
}

// allowed writes decisions that have an effect, and returns when they are written.
func (j *journal) allowed(source string, list ...evidence.Payload) error {
	for _, p := range list {
		if err := j.append(source, p); err != nil {
			return err
		}
	}
	err := j.rec.Sync()
	if err != nil {
		j.failed(err)
	}
	return err
}

// noted hands over decisions that only confirm one that was written, or that have no effect outside the gate. They are written in their
// order; nobody waits for it.
func (j *journal) noted(source string, list ...evidence.Payload) error {
	for _, p := range list {
		if err := j.append(source, p); err != nil {
			return err
		}
	}
	return nil
}

// denied writes a refusal, or counts it.
func (j *journal) denied(source, reason string, list ...evidence.Payload) {
	j.mu.Lock()
	j.refused[reason]++
	pass := j.pace.Allow() || j.refused[reason] == 1 // the first of a kind is always written
	if !pass {
		if len(j.missed) == 0 {
			j.since = time.Now()
		}
		for _, p := range list {
			j.missed[[2]string{p.Type(), reason}]++
		}
	}
	j.mu.Unlock()
	if !pass {
		return
	}
	j.flush(time.Second)
	for _, p := range list {
		j.append(source, p)
	}
}

// flush writes what was counted and not written, if that began long enough ago.
func (j *journal) flush(age time.Duration) {
	j.mu.Lock()
	if len(j.missed) == 0 || time.Since(j.since) < age {
		j.mu.Unlock()
		return
	}
	gap := evidence.Gap{Since: j.since, Until: time.Now()}
	for k, n := range j.missed {
		gap.Counts = append(gap.Counts, evidence.GapCount{Event: k[0], Reason: k[1], Count: n})
	}
	j.missed = map[[2]string]int64{}
	j.mu.Unlock()
	slices.SortFunc(gap.Counts, func(a, b evidence.GapCount) int { return strings.Compare(a.Event+a.Reason, b.Event+b.Reason) })
	j.append(evidence.SourceSupervisor, gap)
}

// flow is the decision on a connection.
func (j *journal) flow(allow bool, reason, ref string, udp bool, dst string, port uint16) evidence.FlowDecision {
	return evidence.FlowDecision{DecisionID: evidence.NewID(), Allow: allow, Reason: reason, RuleRef: ref, DstAddr: dst, DstPort: int(port),
		Protocol: protocol(udp), Trust: j.trust, ObservedAt: time.Now()}
}

func protocol(udp bool) string {
	if udp {
		return "udp"
	}
	return "tcp"
}

// name is the decision on a name that was seen in a connection.
func (j *journal) name(allow bool, reason, ref, name string) evidence.L7EgressDecision {
	if name == "" {
		name = "(unknown)"
	}
	return evidence.L7EgressDecision{DecisionID: evidence.NewID(), Allow: allow, SNIHost: name, PolicyDigest: j.l7.PolicyDigest, KeysetID: j.l7.KeysetID,
		IssuerKid: j.l7.IssuerKid, ReasonCode: reason, RuleRef: ref}
}

// refuse writes that a connection was refused.
func (j *journal) refuse(v verdict, udp bool, at netip.AddrPort, why string, lead netip.Addr) {
	dst, name := at.Addr().String(), ""
	if v.to != nil && v.to.name != "" {
		dst, name = v.to.name, v.to.name
	}
	j.denied(evidence.SourceSupervisor, v.reason, j.flow(false, v.reason, v.ref, udp, dst, at.Port()))
	j.deny(wire.Refused{Name: name, Addr: at, UDP: udp, Reason: v.reason, Why: why, Lead: lead})
}

// maxAsked bounds the names that the closing account lists; questions about more are bounded anyhow.
const maxAsked = 512

// ask counts a name that the cell asked for.
func (j *journal) ask(name string, granted bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	a := j.asked[name]
	if a == nil {
		if len(j.asked) >= maxAsked {
			return
		}
		a = &evidence.AskedName{Name: name}
		j.asked[name] = a
	}
	a.Granted = a.Granted || granted
	a.Count++
}

// account is what was counted.
func (j *journal) account() (refused map[string]int64, names []evidence.AskedName) {
	j.mu.Lock()
	defer j.mu.Unlock()
	refused = map[string]int64{}
	for k, n := range j.refused {
		refused[k] = n
	}
	for _, a := range j.asked {
		names = append(names, *a)
	}
	slices.SortFunc(names, func(a, b evidence.AskedName) int { return strings.Compare(a.Name, b.Name) })
	return refused, names
}
