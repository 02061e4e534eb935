package delivery

import (
	"context"
	"crypto/rand"
	"fmt"

	"cellos.io/cellos/secret"
)

// PlaceholderPrefix begins what a command finds in place of a secret that the network gate puts into requests.
const PlaceholderPrefix = "cellos-placeholder-"

// newPlaceholder is another one each time, and says nothing of the value.
func newPlaceholder() secret.Value {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return secret.FromString(fmt.Sprintf("%s%x", PlaceholderPrefix, b))
}

// replace takes the values of injected keys aside and puts placeholders in their place, also where a lease would give them out later.
func (s *Session) replace(ctx context.Context) error {
	for _, k := range s.Injected {
		v, ok := s.got[k]
		if !ok {
			if s.lease == nil {
				return fmt.Errorf("secret %s: nothing gives it out, and requests need it", k)
			}
			var err error
			if v, err = s.lease.Resolve(ctx, s.asked(k)); err != nil {
				return fmt.Errorf("secret %s unresolvable via %s broker: %w", k, s.Broker.Name(), err)
			}
			if err := s.keep(k, v); err != nil {
				return err
			}
		}
		s.gated = append(s.gated, secret.Variable{Name: k, Value: v})
		s.got[k] = newPlaceholder()
		if err := v.Use(secret.CheckHeader); err != nil {
			return fmt.Errorf("secret %s: %w", k, err)
		}
	}
	return nil
}

// Gated are the values of the injected keys, for the gate, from Deliver on until Withdraw wipes them.
func (s *Session) Gated() []secret.Variable { return s.gated }
