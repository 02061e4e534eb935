package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A machine's command asks for its secrets on a socket as everywhere: the guest's first process listens there, and the supervisor answers,
// with a lease, on the channel. The host has no socket.
func TestSecretsOnRequestOfMachine(t *testing.T) {
	needs(t, "python3")
	large := strings.Repeat("0123456789abcdef", 40<<10) // many frames
	script := `stat -c '%a %F' $(dirname $CELLOS_RUNTIME_SECRET_SOCKET) $CELLOS_RUNTIME_SECRET_SOCKET; echo $CELLOS_SECRET_DELIVERY
/opt/cellos secret get K; echo; /opt/cellos secret get K; echo; /opt/cellos secret get OTHER; echo $?
touch $CELLOS_RUNTIME_SECRET_SOCKET.x || echo read-only
python3 -c 'import json, os, socket
def ask(line):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(os.environ["CELLOS_RUNTIME_SECRET_SOCKET"])
    s.sendall(line)
    return s
def hear(s):
    b = b""
    while True:
        try: x = s.recv(1 << 16)
        except ConnectionResetError: break
        if not x: break
        b += x
    return b
def line(key, token=os.environ["CELLOS_RUNTIME_SECRET_TOKEN"]): return json.dumps({"token": token, "key": key}).encode() + b"\n"
print(hear(ask(line("K", "x"))), hear(ask(b"nonsense\n")))
print(len(json.loads(hear(ask(line("LARGE"))))["value"]))
print(len([s for s in [ask(line("K")) for _ in range(100)] if hear(s).startswith(b"{\"value\":\"hunt")]))
s = ask(b"")
try:
    for _ in range(5): s.sendall(b" " * (1 << 16))
except OSError: pass
print(hear(s))
gone = [ask(line("LARGE")) for _ in range(20)]'`
	onMachines(t, func(t *testing.T, b *bench) {
		s := newLeases(t, map[string]string{"LARGE": large})
		b.env = append(b.env, s.env()...)
		r := b.cellos("run", secretDocument(b, "", `["K","LARGE"]`, script, ""))
		want := "700 directory\n600 socket\nruntimeLeasedBroker\nhunter-2\nhunter-3\n1\nread-only\n" + `b'{"error":"unauthorized"}\n' b''` + fmt.Sprintf("\n%d\n100\nb''\n", len(large))
		if got := r.ok(t); got != want || s.revoked.Load() != 1 {
			t.Errorf("%q, %d revocations\n%s", got, s.revoked.Load(), r.err)
		}
		r.fails(t, 0, `unknown secret key "OTHER"`)
		if events := b.cellos("show", "--events", "last").ok(t); !strings.Contains(events, `{"name":"K","taken":102}`) || !strings.Contains(events, `"name":"OTHER","what":"secret"`) || strings.Contains(events, "hunter-") {
			t.Errorf("the events do not tell what was taken, or tell too much:\n%.4000s", events)
		}
	})
}
