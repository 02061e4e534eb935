package e2e

import (
	"strconv"
	"strings"
	"testing"

	"cellos.io/cellos/evidence/jetstream/natstest"
)

// A natsServer is what a stored run needs of a nats-server; nil: none.
type natsServer struct {
	JetStream bool
	Stream    []string // the subjects of a stream

	server *natstest.Server
}

func (n *natsServer) start(t *testing.T) *natsServer {
	t.Helper()
	switch {
	case n == nil:
		return nil
	case n.JetStream:
		n.server = natstest.Start(t)
	default:
		n.server = natstest.StartPlain(t)
	}
	if len(n.Stream) > 0 {
		n.server.Stream("V", n.Stream...)
	}
	return n
}

func (n *natsServer) port() string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(n.server.Port)
}

// holds demands that the stream has the lines of a mirror, all of them, once, in order.
func (n *natsServer) holds(t *testing.T, mirror []byte) {
	t.Helper()
	var stored strings.Builder
	for _, m := range n.server.Messages("V", n.Stream[0]) {
		stored.Write(m.Line)
		stored.WriteByte('\n')
	}
	if len(mirror) == 0 || stored.String() != string(mirror) {
		t.Errorf("the stream holds\n%sthe mirror holds\n%s", stored.String(), mirror)
	}
}

// TestSubjectOfTheTenant: the placeholder in CELL_OS_EVENTS_SUBJECT is filled in for each event by itself.
func TestSubjectOfTheTenant(t *testing.T) {
	s := natstest.Start(t)
	s.Stream("EVENTS", "cellos.>")
	b := newBench(t, users()[len(users())-1]).portable("NATS_URL="+s.URL(), "CELL_OS_EVENTS_SUBJECT=cellos.{tenantId}.events")
	b.cellos("supervise", b.documented("exit 0")).ok(t)
	counts := map[string]int{}
	for _, m := range s.Messages("EVENTS", "cellos.>") {
		counts[m.Subject]++
		kind, _ := m.Event["type"].(string)
		if tenant := m.Subject == "cellos.acme.events"; tenant != (strings.HasSuffix(kind, "lifecycle.v1.started") || strings.HasSuffix(kind, "lifecycle.v1.destroyed")) {
			t.Errorf("%s is under %s", kind, m.Subject)
		}
	}
	if counts["cellos.acme.events"] != 2 || counts["cellos.single.events"] < 8 || len(counts) != 2 {
		t.Errorf("subjects %v", counts)
	}
}
