package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"cellos.io/cellos/evidence/jetstream/natstest"
)

// A consumed run is one that the consumer has to find in its right end state.
type consumed struct {
	name string
	body string   // members of spec besides id, authority and lifetime
	auth string   // members of spec.authority
	env  []string // besides where the events go
	wait bool     // the command says "up" and waits until the server was killed
	act  func(*exec.Cmd)
	code int // exit status of the program; -1: it was killed

	state, identity, export, lastError string
	exit                               string   // of the command; "" if there was none
	errs                               []string // what the projection says of single events
}

const hold = `"run":{"secretDelivery":"env","argv":["/bin/sh","-c","echo up; read x; exit 0"]}`

// consumedRuns are all ways in which a run can end. What the projection says of an identity lies in the documented order: its events come
// before the one that says that the cell started.
func consumedRuns() []consumed {
	script := func(text string) string {
		quoted, _ := json.Marshal(text)
		return `"run":{"secretDelivery":"env","argv":["/bin/sh","-c",` + string(quoted) + `]}`
	}
	term := func(c *exec.Cmd) { c.Process.Signal(syscall.SIGTERM) }
	kill := func(c *exec.Cmd) { c.Process.Kill() }
	const identity = `"identity":{"kind":"federatedOidc","provider":"p","audience":"AUD","secretRef":"TOK"},`
	early := []string{"cell.identity.v1.materialized does not fit the state pending"}
	return []consumed{
		{name: "success", body: script("exit 0"), state: "destroyed", exit: "0"},
		{name: "held", body: hold, wait: true, state: "destroyed", exit: "0"},
		{name: "held-signed", body: hold, wait: true, state: "destroyed", exit: "0", env: []string{"CELLOS_EVENT_SIGNING=hmac", "CELLOS_EVENT_SIGNING_KID=k", "CELLOS_EVENT_SIGNING_KEY_BASE64=a2V5"}},
		{name: "failure", body: script("exit 3"), code: 3, state: "destroyFailed", exit: "3", lastError: "status 3"},
		{name: "signal", body: script("kill -9 $$"), code: 128 + 9, state: "destroyFailed", exit: "-1", lastError: "status -1"},
		{name: "timeout", body: `"run":{"secretDelivery":"env","argv":["/bin/sleep","1000"],"timeoutMs":300}`, code: 124, state: "destroyFailed", exit: "-1", lastError: "timed out after 300 ms"},
		{name: "missing-program", body: `"run":{"secretDelivery":"env","argv":["/no/such/program"]}`, code: 127, state: "destroyFailed", exit: "-1", lastError: "command spawn"},
		{name: "terminated", body: hold, wait: true, act: term, code: 128 + 15, state: "destroyFailed", exit: "-1", lastError: "signal 15"},
		{name: "killed", body: hold, wait: true, act: kill, code: -1, state: "started"},
		{name: "no-run", body: `"placement":{"poolId":"p"}`, state: "destroyed"},
		{name: "placed", body: script("exit 0") + `,"placement":{"poolId":"p","queueName":"q"}`, state: "destroyed", exit: "0"},
		{name: "exported", body: script("echo x > f") + `,"export":{"artifacts":[{"name":"f","path":"f"}]}`, env: []string{"CELLOS_EXPORT_DIR=$DIR/out"}, state: "destroyed", exit: "0", export: "succeeded"},
		{name: "export-failed", body: script("exit 0") + `,"export":{"artifacts":[{"name":"f","path":"f"}]}`, env: []string{"CELLOS_EXPORT_DIR=$DIR/out"}, code: 1, state: "destroyFailed", exit: "0", export: "failed", lastError: "export sink"},
		{name: "identity", body: identity + script("exit 0"), auth: `"secretRefs":["TOK"]`, env: []string{"CELLOS_BROKER=env", "CELLOS_SECRET_AUD=v-sentinel"}, state: "destroyed", exit: "0", identity: "revoked", errs: early},
		{name: "identity-missing", body: identity + script("exit 0"), auth: `"secretRefs":["TOK"]`, env: []string{"CELLOS_BROKER=env"}, code: 125, state: "pending",
			errs: []string{"cell.identity.v1.failed does not fit the state pending", "cell.lifecycle.v1.destroyed does not fit the state pending"}},
		{name: "secret-missing", body: script("exit 0"), auth: `"secretRefs":["K"]`, env: []string{"CELLOS_BROKER=env"}, code: 125, state: "pending",
			errs: []string{"cell.lifecycle.v1.destroyed does not fit the state pending"}},
		{name: "refused-by-policy", body: script("exit 0"), env: []string{"CELLOS_POLICY_PACK_PATH=$DIR/pack.json"}, code: 125, state: "pending"},
		{name: "refused-by-authorization", body: script("exit 0"), env: []string{"CELLOS_AUTHZ_POLICY_PATH=$DIR/authz.json"}, code: 125, state: "pending"},
		{name: "refused-program", body: script("exit 0"), env: []string{"CELLOS_RUN_ARGV0_ALLOW_PREFIXES=/opt"}, code: 125, state: "none"},
	}
}

// TestConsumer: runs of every kind at once, a server that is killed among them and comes back, and a consumer that is there all the time:
// it finds every run in its right end state, by the documented events alone.
func TestConsumer(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		s := natstest.Start(t)
		s.Stream("EVENTS", "cellos.>")
		d := newDropin(t, u)
		d.write("out/.made", "", 0o644)
		d.write("pack.json", `{"apiVersion":"cellos.io/v1","kind":"PolicyPack","spec":{"id":"p","rules":{"maxLifetimeTtlSeconds":1}}}`, 0o644)
		d.write("authz.json", `{"apiVersion":"cellos.io/v1","kind":"AuthorizationPolicy","spec":{"subjects":["nobody-here"]}}`, 0o644)
		d.run(d.supervisor([]string{"CELL_OS_USE_NOOP_SINK=1", "CELLOS_DEPLOYMENT_PROFILE=portable"}, d.documented("exit 0"))).ok(t) // the key is made
		consumer := consume(t, s)

		killed, back := make(chan struct{}), make(chan struct{})
		var before, all sync.WaitGroup
		for i, c := range consumedRuns() {
			switch {
			case c.wait: // the server is killed while their commands run, and their last events meet none
				before.Add(1)
				all.Go(func() { d.consumed(c, s.URL(), before.Done, killed) })
			case i%2 == 0: // a run that begins without a server is refused: these end before
				before.Go(func() { d.consumed(c, s.URL(), nil, nil) })
			default: // and these begin after
				all.Go(func() { <-back; d.consumed(c, s.URL(), nil, nil) })
			}
		}
		before.Wait()
		s.Stop()
		close(killed)
		s.Run()
		close(back)
		all.Wait()
		s.Stop() // and once more between the runs and the consumer's end
		s.Run()

		p := consumer()
		for _, c := range consumedRuns() {
			d.projected(c, p.runs[c.name], p.errs[c.name])
		}
		for name := range p.runs {
			if !slices.ContainsFunc(consumedRuns(), func(c consumed) bool { return c.name == name }) {
				t.Errorf("events of %q", name)
			}
		}
	})
}

// consumed lives one run.
func (d *dropin) consumed(c consumed, url string, up func(), killed <-chan struct{}) {
	spec := d.write(c.name+".json", fmt.Sprintf(`{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":%q,"authority":{%s},"lifetime":{"ttlSeconds":500},%s}}`, c.name, c.auth, c.body), 0o644)
	env := []string{"PATH=/usr/bin:/bin", "NATS_URL=" + url, "CELLOS_DEPLOYMENT_PROFILE=portable", "CELLOS_RUN_ID=run-of-" + c.name, "CELLOS_TENANT_ID=acme"}
	for _, v := range c.env {
		env = append(env, strings.ReplaceAll(v, "$DIR", d.dir))
	}
	cmd := d.supervisor(env, spec)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	in, err := cmd.StdinPipe()
	if err != nil {
		d.t.Error(err)
		return
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		d.t.Error(err)
		return
	}
	if c.wait {
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			d.t.Errorf("%s: %v", c.name, err)
		}
		up()
		<-killed
	}
	if c.act != nil {
		c.act(cmd)
	} else {
		io.WriteString(in, "\n")
		in.Close()
	}
	io.Copy(io.Discard, out)
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != c.code {
		d.t.Errorf("%s: exit status %d, want %d\n%s", c.name, got, c.code, messages.String())
	}
}

// projected compares what the consumer found with how the run ended.
func (d *dropin) projected(c consumed, r *projected, errs []string) {
	if r == nil {
		if c.state != "none" {
			d.t.Errorf("%s: no event of it arrived", c.name)
		}
		return
	}
	exit := ""
	if r.exit != nil {
		exit = fmt.Sprint(*r.exit)
	}
	if r.state() != c.state || exit != c.exit || r.identity != c.identity || r.export != c.export || !strings.Contains(r.lastError, c.lastError) || (r.lastError == "") != (c.lastError == "") {
		d.t.Errorf("%s: found in state %s, exit code %q, identity %q, export %q, last error %q", c.name, r.state(), exit, r.identity, r.export, r.lastError)
	}
	if !slices.Equal(errs, c.errs) {
		d.t.Errorf("%s: the projection refuses %q, want %q", c.name, errs, c.errs)
	}
	refused := strings.HasPrefix(c.name, "refused-")
	if r.bound["specId"] != c.name || !refused && (r.bound["cellId"] != c.name || r.bound["runId"] != "run-of-"+c.name) || (r.bound["placement"] == nil) != !strings.Contains(c.body, `"placement"`) {
		d.t.Errorf("%s: bound %v", c.name, maps.Collect(maps.All(r.bound)))
	}
}

// A consumption is what a consumer has made of a stream.
type consumption struct {
	*projection
	errs map[string][]string // by run
}

// consume starts a consumer of the stream EVENTS. The function that it returns waits until everything in the stream was taken, and ends it.
// Every third message is not acknowledged at first, so that it comes again.
func consume(t *testing.T, s *natstest.Server) func() consumption {
	t.Helper()
	conn, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.Timeout(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	js, err := conn.JetStream(nats.MaxWait(20 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	sub, err := js.PullSubscribe("cellos.>", "projector", nats.AckWait(time.Second), nats.ManualAck())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	c := consumption{newProjection(), map[string][]string{}}
	again := 0
	done, stopped := make(chan struct{}), make(chan struct{})
	take := func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		if err := c.apply(m.Data); err != nil {
			name, text, _ := strings.Cut(strings.ReplaceAll(err.Error(), "dev.cellos.events.", ""), ": ")
			c.errs[name] = append(c.errs[name], text)
		}
		if meta, err := m.Metadata(); err == nil && meta.Sequence.Stream%3 == 0 && meta.NumDelivered == 1 {
			m.Nak()
			return
		} else if err == nil && meta.NumDelivered > 1 {
			again++
		}
		m.Ack()
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			list, _ := sub.Fetch(20, nats.MaxWait(500*time.Millisecond)) // an error is a server that is away
			for _, m := range list {
				take(m)
			}
		}
	}()
	t.Cleanup(conn.Close)
	return func() consumption {
		t.Helper()
		ids := map[string]bool{}
		for _, m := range s.Messages("EVENTS", "cellos.>") {
			ids[m.ID] = true
		}
		if !waitFor(func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(c.seen) >= len(ids) && again > 0
		}) {
			t.Errorf("the consumer saw %d of %d events, %d of them again", len(c.seen), len(ids), again)
		}
		close(done)
		<-stopped
		return c
	}
}
