package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// exhausting is what a cell does that wants its gate to have nothing left: it takes every connection there is and reads from none, asks for
// names as fast as it can, and sends datagrams from many ports, while one connection of before has to stay alive.
const exhausting = attackHelp + `
import resource
most=resource.getrlimit(resource.RLIMIT_NOFILE)[1]; resource.setrlimit(resource.RLIMIT_NOFILE,(most,most))
alive=socket.create_connection(('echo.test',port('ECHO')),timeout=60); alive.recv(6)
at={n:socket.gethostbyname(n) for n in ('a.test','echo.test')} # names are asked for below
def lives(): alive.sendall(b'x'); return alive.recv(1)==b'x'
many=[]; refused=0; end=time.monotonic()+60
while refused<50 and time.monotonic()<end:
    try:
        s=socket.create_connection((at['a.test'],port('HTTP')),timeout=60); many.append(s)
        s.sendall(b'GET /big HTTP/1.0\r\nHost: a.test\r\n\r\n')
        if len(many)%2: s.shutdown(1) # the cell has said everything: only the reading is left
    except ConnectionRefusedError: refused+=1; time.sleep(0.001)
print(len(many)<=256, refused, lives())
print(burst('x%d.evil.test'), lives())
us=[]
for i in range(200):
    u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); u.settimeout(2); u.connect((at['echo.test'],port('UDP'))); us.append(u)
    try: u.send(b'x'*9000); u.recv(9000)
    except (ConnectionRefusedError,TimeoutError): pass # refused, or lost, as datagrams may be
print(lives(),flush=True)
input()
for s in many+us: s.close()
while connect(at['echo.test'],port('ECHO'))!='connected' and time.monotonic()<end: time.sleep(0.1)
print(lives(), connect(at['echo.test'],port('ECHO')))
`

// TestNetworkExhaustion: a cell has as much as it may, is refused more, harms none of its connections by it, and has as much again when it has
// ended some. Its gate does not grow with it.
func TestNetworkExhaustion(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	everywhere(t, func(t *testing.T, u user) {
		b := online(t, u)
		file := filepath.Join(filepath.Dir(b.dir), "events.jsonl")
		args := append([]string{"run", "--quiet", "--events", file}, s.grant("a.test:"+s.http+"/http", "echo.test:"+s.echo, "echo.test:"+s.udp+"/udp")...)
		cmd := b.command(append(append(args, s.variables()...), "--", "/usr/bin/python3", "-c", exhausting)...)
		in, out, said := begun(t, cmd)
		lines := bufio.NewScanner(out)
		for _, want := range []string{"True 50 True", "{5} True", "True"} {
			if !lines.Scan() || lines.Text() != want {
				cmd.Process.Kill()
				cmd.Wait()
				t.Fatalf("printed %q, want %q\n%s", lines.Text(), want, said.String())
			}
		}
		if os.Getenv("CELLOS_TEST_RACE") == "" && !b.closedTUN {
			if peak := peakOf(t, gateOf(t, cmd.Process.Pid)); peak > 40<<20 {
				t.Errorf("the gate has had %d MiB in memory", peak>>20)
			}
		}
		io.WriteString(in, "\n")
		if !lines.Scan() || lines.Text() != "True connected" {
			t.Errorf("printed %q when there was room again", lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said.String())
		}
		events := readEvents(t, file)
		for _, want := range []string{"deny limit_reached", "deny denied_query_limit", "deny denied_not_in_allowlist"} {
			if !reasons(events)[want] {
				t.Errorf("no event says %q: %v", want, reasons(events))
			}
		}
		if n := use(t, events)["peakConnections"].(float64); n > 256+64 {
			t.Errorf("%v connections were there at once", n)
		}
	})
}

// peakOf is the most resident memory that a process has had, in bytes.
func peakOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no VmHWM in\n%s", text)
	return 0
}
