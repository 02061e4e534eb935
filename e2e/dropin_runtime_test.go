package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A runCase is a line of runtime.jsonl. The README beside it says what its members mean.
type runCase struct {
	ID       string
	Args     []string
	Document json.RawMessage
	Env      map[string]string
	As       string
	Stdin    json.RawMessage
	Files    map[string]json.RawMessage
	FDs      []int
	HTTP     []httpStep
	Nats     *natsServer
	Signal   *struct {
		Name       string
		WhenStdout string `json:"when_stdout"`
	}
	Upstream, Ours map[string]json.RawMessage

	stored *natsServer // running
}

// TestDropinRuns drives every stored run through the program.
func TestDropinRuns(t *testing.T) {
	text, err := os.ReadFile("testdata/dropin/runtime.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, u user) {
		n := 0
		for line := range bytes.Lines(text) {
			n++
			var head runCase
			if err := json.Unmarshal(line, &head); err != nil {
				t.Fatal(err)
			}
			if (head.As == "nobody") != (u.uid != 0) && os.Getuid() == 0 {
				continue
			}
			t.Run(head.ID, func(t *testing.T) { runStored(t, u, line) })
		}
		if n < 100 {
			t.Errorf("only %d runs", n)
		}
	})
}

func runStored(t *testing.T, u user, line []byte) {
	d := newDropin(t, u)
	var c runCase
	if err := json.Unmarshal(line, &c); err != nil {
		t.Fatal(err)
	}
	web, nats := serveSteps(t, c.HTTP), c.Nats.start(t)
	token := fmt.Sprintf("9%09d.%d", rand.IntN(1e9), os.Getpid())
	replaced := strings.NewReplacer("{W}", d.dir, "{BIN}", binary, "{TOKEN}", token, "{HTTP}", web.address, "{NATS}", nats.port()).Replace(string(line))
	c = runCase{stored: nats}
	if err := json.Unmarshal([]byte(replaced), &c); err != nil {
		t.Fatal(err)
	}
	for name, content := range c.Files {
		d.put(name, content)
	}
	body := c.Document
	var whole string
	if json.Unmarshal(c.Document, &whole) == nil && len(c.Document) > 0 {
		body = []byte(whole)
	}
	args := c.Args
	if c.Document != nil {
		d.write("spec.json", string(body), 0o644)
		if args == nil {
			args = []string{filepath.Join(d.dir, "spec.json")}
		}
	}
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NO_COLOR=1"}
	for k, v := range c.Env {
		env = append(env, k+"="+v)
	}
	if p, set := c.Env["PATH"]; set {
		env[0] = "PATH=" + p
	}
	cmd := d.supervisor(env, args...)
	cmd.Stdin = strings.NewReader(c.input(body))
	for _, n := range c.FDs {
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		for len(cmd.ExtraFiles) < n-2 {
			cmd.ExtraFiles = append(cmd.ExtraFiles, null)
		}
	}
	if c.Signal != nil {
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(out); s.Scan() && !strings.Contains(s.Text(), c.Signal.WhenStdout); {
		}
		cmd.Process.Signal(map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}[c.Signal.Name])
		cmd.Wait()
		c.check(t, d, result{code: cmd.ProcessState.ExitCode()}, web, token)
		return
	}
	c.check(t, d, d.run(cmd), web, token)
}

// input is what the program reads on standard input.
func (c runCase) input(document []byte) string {
	var text string
	if json.Unmarshal(c.Stdin, &text) == nil {
		return text
	}
	if len(c.Stdin) > 0 {
		return string(document)
	}
	return ""
}

// put makes a file of a case.
func (d *dropin) put(name string, content json.RawMessage) {
	d.t.Helper()
	var f struct {
		Text, Base64, Symlink, Mode string
		Dir                         bool
		Copies                      int
	}
	if json.Unmarshal(content, &f.Text) != nil {
		if err := json.Unmarshal(content, &f); err != nil {
			d.t.Fatal(err)
		}
	}
	mode, err := strconv.ParseUint(f.Mode, 8, 32)
	if err != nil {
		mode = 0o644
	}
	path := filepath.Join(d.dir, name)
	switch {
	case f.Dir, f.Symlink != "":
		d.write(filepath.Join(filepath.Dir(name), ".made"), "", 0o644) // the folders above
		os.Remove(filepath.Join(filepath.Dir(path), ".made"))
		if f.Symlink != "" {
			err = os.Symlink(f.Symlink, path)
		} else if err = os.MkdirAll(path, 0o755); err == nil {
			d.own(path)
		}
		if err != nil {
			d.t.Fatal(err)
		}
		if f.Dir && f.Mode != "" {
			os.Chmod(path, os.FileMode(mode))
		}
	default:
		if f.Base64 != "" {
			raw, err := base64.StdEncoding.DecodeString(f.Base64)
			if err != nil {
				d.t.Fatal(err)
			}
			f.Text = string(raw)
		}
		d.write(name, strings.Repeat(f.Text, max(f.Copies, 1)), os.FileMode(mode))
	}
}

// survivors counts the processes whose command line holds the token. The kernel ends the processes of a cell before its supervisor can
// know; those of a program that leaves some behind would be there for minutes.
func survivors(token string) (n int) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		line, err := os.ReadFile(p + "/cmdline")
		if err == nil && strings.Contains(string(line), token) && p != fmt.Sprintf("/proc/%d", os.Getpid()) {
			n++
		}
	}
	return n
}

// waitFor gives the machine time to do what was promised; the promise is what is tested, not the time.
func waitFor(done func() bool) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return done()
}
