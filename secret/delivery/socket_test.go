package delivery

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/secret"
)

// TestLongFolder: a name that no socket can have is told before anything else is done, and nothing is left.
func TestLongFolder(t *testing.T) {
	for n, fits := range map[int]bool{60: true, 100: false} {
		temp := filepath.Join(t.TempDir(), "x")
		temp += strings.Repeat("x", max(0, n-len(temp)))
		if len(temp) != n && fits {
			t.Skip("the folder for tests is too long itself")
		}
		if err := os.Mkdir(temp, 0o700); err != nil {
			t.Fatal(err)
		}
		dir, err := Folder(temp)
		if fits != (err == nil) || err != nil && !strings.Contains(err.Error(), "107 are possible (unix(7)): set TMPDIR") {
			t.Errorf("%d bytes: %q, %v", n, dir, err)
		}
		if list, _ := os.ReadDir(temp); len(list) != map[bool]int{true: 1, false: 0}[fits] {
			t.Errorf("%d bytes: %d entries are left", n, len(list))
		}
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
	s.desk.began = s.desk.began.Add(-time.Hour - time.Second) // before the first request
	token := variables(vars)[TokenVariable]
	if _, err := Get(ctx, s.Socket, token, "k"); err == nil || err.Error() != "secret expired" {
		t.Error(err)
	}
	s.desk.began, s.TTL = time.Now(), 0 // at least a second
	if _, err := Get(ctx, s.Socket, token, "k"); err != nil {
		t.Error(err)
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
	v := s.open(secret.FromString("t"))
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

// TestAnswer: a request that a cell passes on is answered as on the socket, to the end of the delivery, and there is no socket.
func TestAnswer(t *testing.T) {
	for _, mode := range []string{Broker, Leased} {
		s := session(t, mode, leaser{&fake{values: map[string]string{"k": "v"}}}, "k")
		s.Socket = ""
		ctx := context.Background()
		if got := s.Answer(ctx, []byte(`{}`)); got != nil {
			t.Errorf("%s: answered %q before the delivery", mode, got)
		}
		vars, err := s.Deliver(ctx, me)
		if err != nil {
			t.Fatal(err)
		}
		token := variables(vars)[TokenVariable]
		ask := func(token string) string {
			return string(s.Answer(ctx, []byte(`{"token":"`+token+`","key":"k"}`)))
		}
		if got := ask(token); got != "{\"value\":\"v\"}\n" {
			t.Errorf("%s: %q", mode, got)
		}
		if got := ask("x"); got != "{\"error\":\"unauthorized\"}\n" {
			t.Errorf("%s: %q", mode, got)
		}
		if got := s.Answer(ctx, []byte("nothing")); got != nil {
			t.Errorf("%s: %q", mode, got)
		}
		s.Withdraw()
		if got := ask(token); got != "" {
			t.Errorf("%s: %q after the end", mode, got)
		}
	}
}
