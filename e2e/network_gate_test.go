package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// takenOver is a gate that somebody has taken over: all that it is told and says goes through, and once the cell has been released it says
// something of its own. GATE is the true one, SAY an expression of Python for the bytes.
const takenOver = `#!/usr/bin/python3
import socket,os,subprocess,threading,json,struct
def m(**k): b=json.dumps(k).encode(); return struct.pack('>I',len(b))+b
os.set_blocking(3,True); up=socket.socket(fileno=3); ours,theirs=socket.socketpair()
gate=subprocess.Popen(['GATE'],preexec_fn=lambda: os.dup2(theirs.fileno(),3),close_fds=False,env={'GOMAXPROCS':'1'})
theirs.close(); lock=threading.Lock()
def down():
    while True:
        b,fds,_,_=socket.recv_fds(up,1<<16,16)
        if not b: os._exit(0)
        socket.send_fds(ours,[b],fds)
        for fd in fds: os.close(fd)
        if b'"release"' in b:
            with lock:
                try: up.sendall(SAY)
                except OSError: os._exit(0)
threading.Thread(target=down,daemon=True).start()
left=b''
while b:=ours.recv(1<<16):
    left+=b
    while len(left)>=4 and len(left)>=4+int.from_bytes(left[:4],'big'): # whole messages
        n=4+int.from_bytes(left[:4],'big')
        with lock: up.sendall(left[:n])
        left=left[n:]
`

// TestGateIsTakenOver: whatever a gate says, the supervisor stays what it is: the run ends, what cannot be understood ends the cell, nothing of it
// reaches the terminal as it is, and the record is good.
func TestGateIsTakenOver(t *testing.T) {
	needs(t, "python3", "curl")
	s := newSite(t)
	for _, c := range []struct {
		name, say string
		code      int
		err       string
	}{
		{"a length that cannot be", `b'\xff\xff\xff\xff'`, 137, "a message of 4294967295 bytes"},
		{"no message", `b'\0\0\0\4nope'`, 137, "invalid character"},
		{"an event that is not its own", `m(Kind='event',Source='x',Payload='destroyed',Data={})`, 137, "none of the gate's"},
		{"an event without sense", `m(Kind='event',Source='x',Payload='flow',Data=[1])`, 137, "cannot unmarshal"},
		{"an event of its own, too long", `m(Kind='event',Source='x',Payload='flow',Data={'DstAddr':'x'*3000000})`, 137, ""},
		{"an event with a long name", `m(Kind='event',Source='x',Payload='y'*3000000,Data={})`, 137, `an event "yyy`},
		{"that it failed, at length", `m(Kind='failed',Error='\x1b]0;owned\x07'+'x'*3000000)`, 137, "x"},
		{"a flood of refusals", `b''.join(m(Kind='denied',Data=[{'Name':'\x1b]0;owned\x07%d'%i,'Reason':'r','Addr':''}]) for i in range(20000))`, 0, ""},
		{"the end", `os._exit(7)`, 137, "the gate ended"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			each(t, func(t *testing.T, u user) {
				b := online(t, u)
				if b.closedTUN {
					t.Skip("another program than that of the test cannot be started there")
				}
				dir := filepath.Join(filepath.Dir(b.dir), "taken-over")
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				cellos := filepath.Join(dir, "cellos")
				if err := os.Link(binary, cellos); err != nil {
					t.Fatal(err)
				}
				text := strings.NewReplacer("GATE", filepath.Join(filepath.Dir(binary), "cellos-gate"), "SAY", c.say).Replace(takenOver)
				if err := os.WriteFile(filepath.Join(dir, "cellos-gate"), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
				args := append([]string{"run", "--watch"}, s.grant("a.test:"+s.http+"/http")...)
				wait := "sleep 20"
				if c.code == 0 {
					wait = "curl -s http://a.test:" + s.http + "/"
				}
				cmd := b.command(append(args, "--", "sh", "-c", wait)...)
				cmd.Path, cmd.Args[0] = cellos, cellos
				r := b.run(cmd)
				if r.code != c.code || !strings.Contains(r.err, c.err) {
					t.Errorf("exit status %d, want %d, and %q in\n%.2000s", r.code, c.code, c.err, r.err)
				}
				if strings.ContainsAny(r.err, "\x1b\x07") {
					t.Errorf("what the gate said came to the terminal as it was: %.300q", r.err)
				}
				if len(r.err) > 1<<14 && c.code != 0 {
					t.Errorf("%d bytes on standard error", len(r.err))
				}
				b.cellos("verify", "last").ok(t)
			})
		})
	}
}
