package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"cellos.io/cellos/evidence/jetstream/natstest"
)

// TestJetStream: every event of a run is in the stream, once and in order, although the server goes away and comes back while the command
// runs. The subject is made as documented.
func TestJetStream(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		s := natstest.Start(t)
		s.Stream("EVENTS", "cellos.>")
		b.portable("NATS_URL="+s.URL(), "CELLOS_RUN_ID=r-7", "CELLOS_EVENTS_SUBJECT_TEMPLATE=cellos.{tenantId}.{spec_id}.{run_id}")
		cmd := b.command("supervise", b.documented("echo up; cat >/dev/null"))
		in, out, messages := begun(t, cmd)
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatalf("%v: %s", err, messages.String())
		}
		s.Stop()
		in.Close() // the closing events meet a server that is not there
		s.Run()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, messages.String())
		}
		want := b.record()
		got := s.Messages("EVENTS", "cellos.>")
		if len(got) != len(want) {
			t.Fatalf("%d messages for %d events", len(got), len(want))
		}
		for i, m := range got {
			if string(m.Line) != want[i] || m.Subject != "cellos.acme.cell-1.r-7" || m.ID != m.Event["id"] {
				t.Errorf("message %d is %s with id %s: %s", i, m.Subject, m.ID, m.Line)
			}
		}
	})
}

// TestNobodyAcknowledges: without a server, without a stream, and without JetStream nothing runs.
func TestNobodyAcknowledges(t *testing.T) {
	plain, streamless := natstest.StartPlain(t), natstest.Start(t)
	for name, url := range map[string]string{"no server": fmt.Sprintf("nats://u:pw-sentinel@127.0.0.1:%d", natstest.FreePort(t)), "no stream": streamless.URL(), "no JetStream": plain.URL()} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, users()[len(users())-1]).portable("NATS_URL=" + url)
			r := b.cellos("supervise", b.documented("echo ran"))
			r.fails(t, 125, "NATS")
			if r.out != "" || strings.Contains(r.err, "pw-sentinel") {
				t.Errorf("%q, %q", r.out, r.err)
			}
		})
	}
}
