package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/broker"
)

// A fake is a broker of a map; a nil error is no error.
type fake struct {
	values map[string]string
	err    error

	mu      sync.Mutex
	asked   []string
	revoked int
	rerr    error
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Resolve(_ context.Context, key string) (secret.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, key)
	v, ok := f.values[key]
	if !ok {
		return secret.Value{}, errors.New("there is none")
	}
	return secret.FromString(v), f.err
}

// A leaser is a fake with leases.
type leaser struct{ *fake }

func (l leaser) Lease(ctx context.Context, keys []string) (broker.Lease, error) {
	for _, k := range keys {
		if _, err := l.Resolve(ctx, k); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l leaser) Revoke(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked++
	return l.rerr
}

var me = uint32(os.Geteuid())

func session(t testing.TB, mode string, b broker.Broker, keys ...string) *Session {
	t.Helper()
	dir, err := Folder("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := RemoveFolder(dir); err != nil {
			t.Error(err)
		}
	})
	return &Session{Mode: mode, Keys: keys, Broker: b, TTL: time.Hour, Socket: filepath.Join(dir, SocketName), At: "/in/the/cell"}
}

func variables(vars []secret.Variable) map[string]string {
	m := map[string]string{}
	for _, v := range vars {
		m[v.Name] = string(v.Value.AppendTo(nil))
	}
	return m
}

func TestEnv(t *testing.T) {
	f := &fake{values: map[string]string{"a": "1", "b": "2", "aud": "id"}}
	s := session(t, Env, f, "a", "b", "a", "who")
	s.Alias, s.Audience = "who", "aud"
	ctx := context.Background()
	if err := s.Identity(ctx); err != nil {
		t.Fatal(err)
	}
	vars, err := s.Deliver(ctx, me)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(variables(vars)); got != "map[a:1 b:2 who:id]" || fmt.Sprint(f.asked) != "[aud a b]" {
		t.Errorf("%s, asked for %v", got, f.asked)
	}
	s.Withdraw()
	for _, v := range vars {
		if v.Value.Len() != 0 {
			t.Errorf("%s was not wiped", v.Name)
		}
	}
	s.Withdraw()
	if err := s.Revoke(ctx); err != nil {
		t.Error(err)
	}
}

// TestKnown: whoever keeps values out of what is written is told of each before it is given out, and can have it withheld.
func TestKnown(t *testing.T) {
	for _, mode := range []string{Env, Broker, Leased} {
		var mu sync.Mutex
		var told []string
		f := &fake{values: map[string]string{"a": "1", "long": "too long", "aud": "id"}}
		var b broker.Broker = f
		if mode == Leased {
			b = leaser{f}
		}
		s := session(t, mode, b, "a")
		s.Alias, s.Audience = "who", "aud"
		s.Known = func(v secret.Value) error {
			mu.Lock()
			defer mu.Unlock()
			if v.Len() > 5 {
				return errors.New("nobody could find it")
			}
			told = append(told, string(v.AppendTo(nil)))
			return nil
		}
		ctx := context.Background()
		if err := s.Identity(ctx); err != nil {
			t.Fatal(err)
		}
		vars, err := s.Deliver(ctx, me)
		if err != nil {
			t.Fatal(err)
		}
		if mode == Leased {
			token := variables(vars)[TokenVariable]
			for _, k := range []string{"who", "a"} {
				if _, err := Get(ctx, s.Socket, token, k); err != nil {
					t.Error(err)
				}
			}
		}
		s.Withdraw()
		if got := fmt.Sprint(told); got != "[id 1]" {
			t.Errorf("%s: told of %s", mode, got)
		}
		s = session(t, mode, b, "long")
		s.Known = func(secret.Value) error { return errors.New("nobody could find it") }
		vars, err = s.Deliver(ctx, me)
		if mode == Leased && err == nil {
			_, err = Get(ctx, s.Socket, variables(vars)[TokenVariable], "long")
		}
		if err == nil || !strings.Contains(err.Error(), "secret long: nobody could find it") {
			t.Errorf("%s: given out all the same, %v", mode, err)
		}
		s.Withdraw()
	}
}

func TestFailures(t *testing.T) {
	f := &fake{values: map[string]string{"empty": "", "a": "1", "nul": "x\x00y"}}
	for _, c := range []struct {
		mode, alias string
		keys        []string
		b           broker.Broker
		want        string
	}{
		{Env, "", []string{"a", "gone"}, f, "secret gone unresolvable via fake broker: there is none"},
		{Env, "", []string{"empty"}, f, "secret empty unresolvable via fake broker"},
		{Env, "", []string{"nul"}, f, "secret nul: it has a NUL byte"},
		{Broker, "", []string{"gone"}, f, "secret gone unresolvable via fake broker: there is none"},
		{Env, "who", nil, f, "identity who unresolvable via fake broker: there is none"},
		{Leased, "", []string{"a"}, f, "runtime leased broker prepare: runtimeLeasedBroker is not supported by this secret broker"},
		{Leased, "", []string{"gone"}, leaser{f}, "runtime leased broker prepare: there is none"},
		{Leased, "who", []string{"a"}, leaser{f}, "runtime leased broker prepare [who-aud -> who]: there is none"},
	} {
		s := session(t, c.mode, c.b, c.keys...)
		if c.alias != "" {
			s.Alias, s.Audience = c.alias, c.alias+"-aud"
		}
		err := s.Identity(context.Background())
		if err == nil {
			_, err = s.Deliver(context.Background(), me)
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s %q: %v, want %q", c.mode, c.keys, err, c.want)
		}
		s.Withdraw()
		s.Revoke(context.Background())
	}
}

// TestAnotherUser is not answered at all, whatever it knows.
func TestAnotherUser(t *testing.T) {
	s := session(t, Broker, &fake{values: map[string]string{"k": "v"}}, "k")
	vars, err := s.Deliver(context.Background(), me+1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Withdraw()
	if v, err := Get(context.Background(), s.Socket, variables(vars)[TokenVariable], "k"); err == nil {
		t.Errorf("answered with %d bytes", v.Len())
	}
}

// TestWithdrawWhileAsked: the end does not wait for those who say nothing, and leaves nobody with a part of a value.
func TestWithdrawWhileAsked(t *testing.T) {
	s := session(t, Broker, &fake{values: map[string]string{"k": strings.Repeat("v", 1<<19)}}, "k")
	vars, err := s.Deliver(context.Background(), me)
	if err != nil {
		t.Fatal(err)
	}
	token := variables(vars)[TokenVariable]
	for range 2 * MaxParallel { // more than are served at once
		c, err := net.Dial("unix", s.Socket)
		if err != nil {
			break // the queue of the kernel is full
		}
		defer c.Close()
	}
	began := time.Now()
	s.Withdraw()
	if d := time.Since(began); d > RequestTime {
		t.Errorf("the end took %v", d)
	}
	if _, err := Get(context.Background(), s.Socket, token, "k"); err == nil {
		t.Error("answered after the end")
	}
}
