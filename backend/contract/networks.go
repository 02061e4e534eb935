//go:build linux

package contract

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/plan"
)

var networks = []test{
	{"a granted name is reached, and nothing else", grantedName},
	{"bytes to and from a name", bytesBothWays},
	{"datagrams to a name", datagrams},
	{"a granted IPv6 address", sixLiteral},
	{"before the release nothing is reached", notReleased},
}

// decisions is a gate's recorder that keeps what it decided on connections.
type decisions struct {
	mu   sync.Mutex
	list []string
}

func (d *decisions) Append(_ string, p evidence.Payload) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f, ok := p.(evidence.FlowDecision); ok {
		d.list = append(d.list, fmt.Sprintf("%v %s %s:%d/%s", f.Allow, f.Reason, f.DstAddr, f.DstPort, f.Protocol))
	}
	return nil
}
func (d *decisions) Ahead(source string, p evidence.Payload) error { return d.Append(source, p) }
func (d *decisions) Sync() error                                   { return nil }

// reached lives a cell with a network: rules are members of egressRules, all names lead to one public address, and whoever is connected to
// gets its bytes back. Before is called when the cell stands, and the command has not started.
func (s Subject) reached(t *testing.T, rules, script string, before func(*gate.Gate)) (out string, decided []string, use evidence.NetworkUse) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash, which connects by itself")
	}
	a := ask{argv: []string{bash, "-c", script}, grants: `"egressRules":[` + rules + `]`}
	auth, p := s.planned(t, a)
	w, text := output(t)
	c := s.built(t, p, cell.Streams{Out: w, Err: w})
	linked, ok := c.(cell.Linked)
	if !ok || linked.Link().Device == nil {
		t.Fatal("the cell has no network that anybody could serve")
	}
	hosts := map[string][]netip.Addr{}
	for _, r := range auth.Network {
		hosts[r.Name()] = []netip.Addr{netip.MustParseAddr("93.184.216.34")}
	}
	g, err := gate.New(gate.Config{Config: wire.Config{Rules: auth.Network, Names: auth.Names, Cell: plan.CellAddress(), Cell6: plan.CellAddress6(), Gate: plan.GateAddress(),
		StandIns: plan.StandIns(), MTU: p.Network.MTU}, Hosts: hosts, Dial: echoes(t)})
	must(t, err)
	var d decisions
	must(t, g.Open(gate.Link{Device: linked.Link().Device, Ethernet: linked.Link().Ethernet, Offload: linked.Link().Offload}, &d))
	defer g.Close()
	measured(t, c)
	if before != nil {
		before(g)
	} else {
		g.Release()
	}
	must(t, c.Release(t.Context()))
	if o, err := c.Wait(); err != nil || o.Code != 0 {
		t.Errorf("the command ended with %+v, %v", o, err)
	}
	must(t, g.Close())
	clean(t, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	return text(), d.list, g.Use()
}

// echoes dials a server on the loopback interface that sends back what it gets, whatever was asked for.
func echoes(t *testing.T) func(context.Context, string, netip.AddrPort) (net.Conn, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close(); pc.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			pc.WriteTo(b[:n], from)
		}
	}()
	return func(ctx context.Context, network string, _ netip.AddrPort) (net.Conn, error) {
		var d net.Dialer
		if network == "udp" {
			return d.DialContext(ctx, network, pc.LocalAddr().String())
		}
		return d.DialContext(ctx, network, l.Addr().String())
	}
}

const echoRule = `{"host":"echo.example","port":7}`

func grantedName(t *testing.T, s Subject) {
	script := `exec 3<>/dev/tcp/echo.example/7; echo hello >&3; read -r a <&3; echo "$a"
for to in echo.example/8 other.example/7 192.0.2.1/7 169.254.169.254/80 198.18.0.2/80 198.19.9.9/7; do
	(exec 4<>/dev/tcp/$to) 2>/dev/null && echo "reached $to"
done
true`
	out, decided, use := s.reached(t, echoRule, script, nil)
	if out != "hello\n" {
		t.Errorf("the command printed %q", out)
	}
	slices.Sort(decided)
	want := []string{
		"false " + evidence.FlowDefault + " 169.254.169.254:80/tcp", "false " + evidence.FlowDefault + " 192.0.2.1:7/tcp", "false " + evidence.FlowDefault + " 198.18.0.2:80/tcp",
		"false " + evidence.FlowDefault + " 198.19.9.9:7/tcp", "false " + evidence.FlowNoPort + " echo.example:8/tcp", "true " + evidence.FlowRule + " echo.example:7/tcp",
	}
	if got := slices.Compact(decided); !slices.Equal(got, want) { // gVisor tries a refused connection again
		t.Errorf("decided\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r := use.Rules[0]; r.Connections != 1 || r.BytesSent != 6 || r.BytesReceived != 6 {
		t.Errorf("the account is %+v", r)
	}
}

func bytesBothWays(t *testing.T, s Subject) {
	const size = 4 << 20
	script := fmt.Sprintf(`exec 3<>/dev/tcp/echo.example/7; head -c %d /dev/zero >&3 & head -c %d <&3 | wc -c`, size, size)
	out, _, use := s.reached(t, echoRule, script, nil)
	if strings.TrimSpace(out) != fmt.Sprint(size) {
		t.Errorf("the command printed %q", out)
	}
	if r := use.Rules[0]; r.BytesSent != size || r.BytesReceived < size {
		t.Errorf("the account is %+v", r)
	}
}

func datagrams(t *testing.T, s Subject) {
	out, _, use := s.reached(t, `{"host":"echo.example","port":7,"protocol":"udp"}`, `exec 3<>/dev/udp/echo.example/7; echo hello >&3; head -n 1 <&3`, nil)
	if out != "hello\n" || use.Rules[0].Connections != 1 {
		t.Errorf("the command printed %q, the account is %+v", out, use.Rules[0])
	}
}

func sixLiteral(t *testing.T, s Subject) {
	out, decided, _ := s.reached(t, `{"host":"2001:db9::7","port":7}`, `exec 3<>/dev/tcp/2001:db9::7/7; echo hello >&3; read -r a <&3; echo "$a"
(exec 4<>/dev/tcp/2001:db9::8/7) 2>/dev/null && echo reached; true`, nil)
	if out != "hello\n" || !slices.Contains(decided, "true "+evidence.FlowRule+" 2001:db9::7:7/tcp") {
		t.Errorf("the command printed %q, decided was %q", out, decided)
	}
}

func notReleased(t *testing.T, s Subject) {
	out, decided, use := s.reached(t, echoRule, `(exec 3<>/dev/tcp/echo.example/7) 2>/dev/null && echo reached; true`, func(*gate.Gate) {})
	if out != "" || len(decided) != 0 || use.Rules[0].Connections != 0 {
		t.Errorf("the command printed %q, decided was %q, the account is %+v", out, decided, use.Rules[0])
	}
}
