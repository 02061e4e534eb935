package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// onMachines runs a test once for each user, one after the other, with cells in virtual machines. Machines take seconds, so that a test
// does much in each.
func onMachines(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	if testing.Short() {
		t.Skip("virtual machines take their time (-short)")
	}
	kernels, _ := filepath.Glob("/boot/vmlinuz-*")
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil || runtime.GOARCH != "amd64" || len(kernels) == 0 {
		t.Skip("needs qemu-system-x86 and a kernel in /boot (linux-image-cloud-amd64)")
	}
	for _, u := range users() {
		u.backend = "microvm"
		t.Run(u.name, func(t *testing.T) {
			b := newBench(t, u)
			dir := filepath.Join(filepath.Dir(binary), "images-"+u.name)
			if err := os.Mkdir(dir, 0o700); err == nil {
				b.own(dir)
			}
			b.env = append(b.env, "CELLOS_IMAGES="+dir, "CELLOS_MICROVM_VMM=qemu")
			f(t, b)
		})
	}
}

// The attempts to get out of a cell, in a machine. What they get is the same: the cell in the guest is the one of every other backend.
func TestEscapesFromMachine(t *testing.T) {
	grant := escapes(t)
	onMachines(t, func(t *testing.T, b *bench) {
		args := []string{"/bin/sh", "-c", `for g; do echo "GROUP $g"; ` + inside + ` - $g; done`, "sh"}
		for _, g := range groups {
			args = append(args, g.name)
		}
		verdicts := map[string]string{}
		name := ""
		for line := range strings.Lines(b.cell([]string{grant, "--time=10m"}, args...).ok(t)) {
			if g, ok := strings.CutPrefix(line, "GROUP "); ok {
				name = strings.TrimSpace(g)
				continue
			}
			verdicts[name] += line
		}
		for _, g := range groups {
			compare(t, b.user, verdicts[g.name], g.want)
		}
	})
}

// Ordinary programs do in a machine what they do elsewhere: an interpreter, a compiler, a version control system, and a build that leaves
// files behind.
func TestProgramsInMachine(t *testing.T) {
	onMachines(t, func(t *testing.T, b *bench) {
		b.write("hello.c", "#include <stdio.h>\nint main(void) { puts(\"hello from C\"); }\n", 0o644)
		script := `set -e
uname -s; head -c 9 /proc/cpuinfo; echo
python3 -c 'import json, ssl, sqlite3, hashlib; print(json.dumps({"sum": sum(range(1000)), "sha": hashlib.sha256(b"x").hexdigest()[:8]}))'
gcc -O1 -o hello hello.c
./hello
git init -q repo && cd repo && git config user.email a@b && git config user.name n
echo one >file && git add file && git commit -q -m first && git log --format=%s && git status --porcelain | wc -l`
		want := "Linux\nprocessor\n{\"sum\": 499500, \"sha\": \"2d711642\"}\nhello from C\nfirst\n0\n"
		for _, program := range []string{"python3", "gcc", "git"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skip("needs " + program)
			}
		}
		r := b.sh(script, "--time=10m")
		if got := r.ok(t); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
		if _, err := os.Stat(filepath.Join(b.dir, "hello")); err == nil {
			t.Error("the working directory of the host was changed")
		}
	})
}

// A machine reaches what was granted by name, through the same gate as every other cell, and nothing else. It has no network card.
func TestNetworkOfMachine(t *testing.T) {
	s := newSite(t)
	needs(t, "curl", "python3", "git")
	onMachines(t, func(t *testing.T, b *bench) {
		flags := append(s.grant("a.test:"+s.http+"/http", "a.test:"+s.tls+"/https", "echo.test:"+s.echo, "echo.test:"+s.udp+"/udp", "b.test:1"), s.variables()...)
		script := `ls /sys/class/net 2>/dev/null; cut -d: -f1 -s /proc/net/dev | tr -d ' ' | sort | tr '\n' ' '
curl -s http://a.test:$HTTP/; curl -s -d 12345 --cacert $CA https://a.test:$TLS/; curl -s http://a.test:$HTTP/big | wc -c
curl -s -m 60 http://b.test:$HTTP/ || echo refused $?
curl -s -m 60 http://127.0.0.1:$HTTP/ || echo refused $?
git -c http.sslCAInfo=$CA clone -q https://a.test:$TLS/repo.git x && cat x/file
python3 -c "import socket,os
s=socket.create_connection(('echo.test',int(os.environ['ECHO'])))
print(s.recv(100)); s.sendall(b'x'*200000); s.shutdown(1)
n=0
while True:
  b=s.recv(65536)
  if not b: break
  n+=len(b)
print(n)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(60); s.connect(('echo.test',int(os.environ['UDP'])))
for n in (1,1400,9000): s.send(b'x'*n); print(len(s.recv(65535)))"`
		r, events := b.gated(append(flags, "--time=10m"), "sh", "-c", script)
		want := "eth0 lo GET a.test 0\nPOST a.test 5\n20971520\nrefused 7\nrefused 7\ncontent\nb'hello\\n'\n200000\n1\n1400\n9000\n"
		if out := r.ok(t); out != want {
			t.Errorf("printed %q, want %q\n%s", out, want, r.err)
		}
		if use(t, events)["peakConnections"] == 0.0 || !reasons(events)["allow nft_egress_rule_match"] {
			t.Errorf("no decision was written: %v", reasons(events))
		}
	})
	s.onlyGranted()
}
