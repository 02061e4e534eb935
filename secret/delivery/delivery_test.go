package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// say sends bytes to a socket and returns everything that comes back.
func say(t testing.TB, socket, text string, end bool) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		io.WriteString(c, text)
		if end {
			c.(*net.UnixConn).CloseWrite()
		}
	}()
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestSocket(t *testing.T) {
	for _, mode := range []string{Broker, Leased} {
		t.Run(mode, func(t *testing.T) {
			f := &fake{values: map[string]string{"k": "v\"\\\n\x01é", "aud": "id"}}
			s := session(t, mode, leaser{f}, "k", "who")
			s.Alias, s.Audience = "who", "aud"
			ctx := context.Background()
			if err := s.Identity(ctx); err != nil {
				t.Fatal(err)
			}
			vars, err := s.Deliver(ctx, me)
			if err != nil {
				t.Fatal(err)
			}
			m := variables(vars)
			token := m[TokenVariable]
			if m[ModeVariable] != mode || m[SocketVariable] != "/in/the/cell" || len(token) != 36 || len(m) != 3 {
				t.Errorf("the environment is %v", m)
			}
			if i, err := os.Stat(s.Socket); err != nil || i.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", i.Mode(), err)
			}
			ask := func(token, key string) string {
				b, _ := json.Marshal(map[string]any{"token": token, "key": key, "further": 1})
				return string(b)
			}
			value := `{"value":"v\"\\\n\u0001é"}` + "\n"
			for name, c := range map[string]struct {
				text, want string
				end        bool
			}{
				"a secret":               {ask(token, "k") + "\n", value, false},
				"without a newline":      {ask(token, "k"), value, true},
				"the identity":           {ask(token, "who") + "\n", `{"value":"id"}` + "\n", false},
				"by its audience":        {ask(token, "aud") + "\n", `{"error":"unknown secret key \"aud\""}` + "\n", false},
				"unknown":                {ask(token, "x") + "\n", `{"error":"unknown secret key \"x\""}` + "\n", false},
				"wrong token":            {ask("x"+token[1:], "k") + "\n", `{"error":"unauthorized"}` + "\n", false},
				"no token":               {ask("", "k") + "\n", `{"error":"unauthorized"}` + "\n", false},
				"wrong token, wrong key": {ask("", "x") + "\n", `{"error":"unauthorized"}` + "\n", false},
				"no JSON":                {"hello\n", "", false},
				"a list":                 {"[]\n", "", false},
				"a field is missing":     {`{"key":"k"}` + "\n", "", false},
				"wrong types":            {`{"key":1,"token":2}` + "\n", "", false},
				"nothing":                {"", "", true},
				"an empty line":          {"\n", "", false},
				"deep":                   {strings.Repeat("[", 60000) + "\n", "", false},
				"too long":               {`{"token":"` + strings.Repeat("x", 1<<17), "", false},
				"two lines":              {ask(token, "k") + "\n" + ask(token, "who") + "\n", value, false},
			} {
				if got := say(t, s.Socket, c.text, c.end); got != c.want {
					t.Errorf("%s: %q, want %q", name, got, c.want)
				}
			}
			v, err := Get(ctx, s.Socket, token, "k")
			if err != nil || string(v.AppendTo(nil)) != f.values["k"] {
				t.Errorf("Get: %q, %v", v.AppendTo(nil), err)
			}
			if _, err := Get(ctx, s.Socket, token, "nope"); err == nil || err.Error() != `unknown secret key "nope"` {
				t.Errorf("Get: %v", err)
			}
			taken, denied := s.Counts()
			if taken["k"] != 4 || taken["who"] != 1 || denied["x"] != 1 || denied["nope"] != 1 || denied["aud"] != 1 {
				t.Errorf("taken %v, denied %v", taken, denied)
			}
			s.Withdraw()
			if _, err := net.Dial("unix", s.Socket); err == nil {
				t.Error("somebody still answers")
			}
			if err := s.Revoke(ctx); err != nil || f.revoked != map[string]int{Broker: 0, Leased: 1}[mode] {
				t.Errorf("%v, %d revocations", err, f.revoked)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	f := &fake{values: map[string]string{"k": "v", "aud": "id"}}
	s := session(t, Broker, f, "k", "who")
	s.Alias, s.Audience, s.AliasTTL = "who", "aud", time.Hour
	ctx := context.Background()
	if err := s.Identity(ctx); err != nil {
		t.Fatal(err)
	}
	vars, err := s.Deliver(ctx, me)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Withdraw()
	s.serve.began = s.serve.began.Add(-time.Hour - time.Second) // before the first request
	token := variables(vars)[TokenVariable]
	if _, err := Get(ctx, s.Socket, token, "k"); err == nil || err.Error() != "secret expired" {
		t.Error(err)
	}
	s.serve.began, s.TTL = time.Now(), 0 // at least a second
	if _, err := Get(ctx, s.Socket, token, "k"); err != nil {
		t.Error(err)
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
	for range 2 * maxParallel { // more than are served at once
		c, err := net.Dial("unix", s.Socket)
		if err != nil {
			break // the queue of the kernel is full
		}
		defer c.Close()
	}
	began := time.Now()
	s.Withdraw()
	if d := time.Since(began); d > requestTime {
		t.Errorf("the end took %v", d)
	}
	if _, err := Get(context.Background(), s.Socket, token, "k"); err == nil {
		t.Error("answered after the end")
	}
}

// BenchmarkSocket asks as a command does: a connection for each secret.
func BenchmarkSocket(b *testing.B) {
	s := session(b, Broker, &fake{values: map[string]string{"k": "0123456789abcdef0123456789abcdef"}}, "k")
	vars, err := s.Deliver(context.Background(), me)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Withdraw()
	token := variables(vars)[TokenVariable]
	line := []byte(`{"token":"` + token + `","key":"k"}` + "\n")
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		buf := make([]byte, 256)
		for p.Next() {
			c, err := net.Dial("unix", s.Socket)
			if err != nil {
				b.Error(err)
				return
			}
			c.Write(line)
			n, err := c.Read(buf)
			if c.Close(); err != nil || n < 40 {
				b.Errorf("%q, %v", buf[:n], err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"token":"t","key":"k"}`)
	f.Add(`{"token":"x","key":"k"}`)
	f.Add(`[`)
	s := &Session{Mode: Broker, Keys: []string{"k"}, TTL: time.Hour}
	s.keep("k", secret.FromString("hunter2"))
	v := &server{session: s, keys: s.keys(), token: secret.FromString("t"), began: time.Now()}
	f.Fuzz(func(t *testing.T, line string) {
		answer := v.answer(context.Background(), []byte(line))
		var q request
		good := json.Unmarshal([]byte(line), &q) == nil && q.Token == "t" && q.Key == "k"
		if strings.Contains(string(answer), "hunter2") && !good {
			t.Errorf("%q is answered with the value", line)
		}
		if answer != nil && (answer[len(answer)-1] != '\n' || !json.Valid(answer)) {
			t.Errorf("%q is answered with %q", line, answer)
		}
	})
}
