package gate

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"cellos.io/cellos/authority"
)

// A rule is a rule of the document with what was used of it.
type rule struct {
	authority.Rule
	ref string // authority.egressRules[2]

	connections, failed, requests atomic.Int64
	sent, received                atomic.Int64
	begun                         atomic.Int64
	pace                          *rate.Limiter
	exceeded                      atomic.Bool
}

func newRule(r authority.Rule, ref string) *rule {
	x := &rule{Rule: r, ref: ref}
	if n := r.Budget.PerSecond; n != 0 {
		x.pace = rate.NewLimiter(rate.Limit(n), int(n))
	}
	return x
}

// errBudget ends a connection whose rule is used up.
var errBudget = errors.New("the budget of the rule is used up")

// begin takes one connection from the budget.
func (r *rule) begin() error {
	b := r.Budget
	n := r.begun.Add(1)
	switch {
	case b.Connections != 0 && uint64(n) > b.Connections, r.spent():
		return errBudget
	case r.pace != nil && !r.pace.AllowN(time.Now(), 1):
		return errPace
	}
	return nil
}

// errPace refuses a connection that comes too soon after the others.
var errPace = errors.New("more connections a second than the rule's budget allows")

// spent reports whether the bytes of the budget are used up.
func (r *rule) spent() bool {
	b := r.Budget
	return b.BytesOut != 0 && uint64(r.sent.Load()) >= b.BytesOut || b.BytesIn != 0 && uint64(r.received.Load()) >= b.BytesIn
}

// out takes n bytes from the budget before they leave; it returns how many may.
func (r *rule) out(n int) (int, error) { return take(&r.sent, r.Budget.BytesOut, n) }

// in does the same for bytes to the cell.
func (r *rule) in(n int) (int, error) { return take(&r.received, r.Budget.BytesIn, n) }

func take(used *atomic.Int64, budget uint64, n int) (int, error) {
	after := used.Add(int64(n))
	if budget == 0 || uint64(after) <= budget {
		return n, nil
	}
	over := min(after-int64(budget), int64(n))
	used.Add(-over)
	return n - int(over), errBudget
}

// request takes one request from the budget.
func (r *rule) request() error {
	if n := r.requests.Add(1); r.Budget.Requests != 0 && uint64(n) > r.Budget.Requests {
		r.requests.Add(-1)
		return errBudget
	}
	return nil
}
