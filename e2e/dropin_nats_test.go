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
