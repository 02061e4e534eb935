package delivery

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"cellos.io/cellos/secret"
)

// In each mode the command gets a placeholder, another one in each run, and the gate the value, until it is withdrawn.
func TestPlaceholders(t *testing.T) {
	ctx := context.Background()
	seen := map[string]bool{}
	for _, mode := range []string{Env, Broker, Leased} {
		f := &fake{values: map[string]string{"K": "value-of-k", "OTHER": "value-of-other"}}
		s := session(t, mode, leaser{f}, "K", "OTHER")
		s.Injected = []string{"K"}
		var known []string
		s.Known = func(v secret.Value) error {
			return v.Use(func(b []byte) error { known = append(known, string(b)); return nil })
		}
		vars, err := s.Deliver(ctx, me)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if mode == Env {
			for _, v := range vars {
				v.Value.Use(func(b []byte) error { got += v.Name + "=" + string(b) + "\n"; return nil })
			}
			if !strings.Contains(got, "OTHER=value-of-other") {
				t.Errorf("%s: delivered %q", mode, got)
			}
		} else {
			var token string
			for _, v := range vars {
				if v.Name == TokenVariable {
					v.Value.Use(func(b []byte) error { token = string(b); return nil })
				}
			}
			v, err := Get(ctx, s.Socket, token, "K")
			if err != nil {
				t.Fatal(err)
			}
			v.Use(func(b []byte) error { got = string(b); return nil })
		}
		place := regexp.MustCompile(`cellos-placeholder-[0-9a-f]{32}`).FindString(got)
		if place == "" || seen[place] || strings.Contains(got, "value-of-k") {
			t.Errorf("%s: delivered %q", mode, got)
		}
		seen[place] = true
		gated := s.Gated()
		if len(gated) != 1 || gated[0].Name != "K" || !gated[0].Value.Equal([]byte("value-of-k")) {
			t.Errorf("%s: the gate gets %v", mode, gated)
		}
		if !strings.Contains(strings.Join(known, " "), "value-of-k") {
			t.Errorf("%s: nobody takes the value out of events: %q", mode, known)
		}
		s.Withdraw()
		if gated[0].Value.Len() != 0 || s.Gated() != nil {
			t.Errorf("%s: the value outlives the delivery", mode)
		}
	}
	for _, bad := range []string{"with\nnewline", "short", "blank-at-the-end "} {
		s := session(t, Env, &fake{values: map[string]string{"K": bad}}, "K")
		s.Injected = []string{"K"}
		if _, err := s.Deliver(ctx, me); err == nil || strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "secret K: ") {
			t.Errorf("%q: %v", bad, err)
		}
		s.Withdraw()
	}
}
