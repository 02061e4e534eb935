package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	t.Run("as", func(t *testing.T) { // which ends when all have
		for _, u := range users() {
			u.backend = "microvm"
			t.Run(u.name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, u)
				dir := filepath.Join(filepath.Dir(binary), "images-"+u.name)
				if err := os.Mkdir(dir, 0o700); err == nil {
					b.own(dir)
				}
				b.env = append(b.env, "CELLOS_IMAGES="+dir, "CELLOS_MICROVM_VMM=qemu")
				f(t, b)
			})
		}
	})
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
		// With reports the guest's first process gives the answers of the filters.
		r := b.cell([]string{grant, "--time=10m", "--report-refusals"}, args...)
		r.fails(t, 0, "cellos: note: refused, the guest claims: ", "by the profile hardened")
		if events := b.cellos("show", "--events", "last").ok(t); strings.Count(events, `"what":"syscall"`) < 10 || strings.Count(events, `"what":"syscall"`) != strings.Count(events, `{"claimedBy":"guest","count":`) {
			t.Error("the record does not say which calls were refused, or not who says so")
		}
		for line := range strings.Lines(r.ok(t)) {
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
	s.badNames()
	a := s.newAPI()
	needs(t, "curl", "python3", "git")
	onMachines(t, func(t *testing.T, b *bench) {
		flags := append(s.attackable("echo.test:"+s.udp+"/udp"), s.variables()...)
		flags = append(flags, "--inject", "API_KEY=a.test:"+a.port, "--env", "API="+a.port)
		b.env = append(b.env, "API_KEY="+injectedValue, "CELLOS_CA_BUNDLE="+s.ca)
		script := `ls /sys/class/net 2>/dev/null; cut -d: -f1 -s /proc/net/dev | tr -d ' ' | sort | tr '\n' ' '
curl -s http://a.test:$HTTP/; curl -s -d 12345 --cacert $CA https://a.test:$TLS/; curl -s http://a.test:$HTTP/big | wc -c
curl -s -m 60 https://b.test:$TLS/ || echo refused $?
curl -s -m 60 http://127.0.0.1:$HTTP/ || echo refused $?
git -c http.sslCAInfo=$CA clone -q https://a.test:$TLS/repo.git x && cat x/file
curl -sS https://a.test:$API/machine; env | grep -c API_KEY=cellos-placeholder-
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
for n in (1,1400,9000): s.send(b'x'*n); print(len(s.recv(65535)))"
echo ATTACKS; exec /usr/bin/python3 attacks.py`
		b.attacks()
		r, events := b.gated(append(flags, "--time=10m"), "sh", "-c", script)
		out, attacks, _ := strings.Cut(r.ok(t), "ATTACKS\n")
		want := "eth0 lo GET a.test 0\nPOST a.test 5\n20971520\nrefused 7\nrefused 7\ncontent\nGET /machine 0 <Bearer ************************>\n1\nb'hello\\n'\n200000\n1\n1400\n9000\n"
		if out != want {
			t.Errorf("printed %q, want %q\n%s", out, want, r.err)
		}
		if use(t, events)["peakConnections"] == 0.0 || !reasons(events)["allow nft_egress_rule_match"] {
			t.Errorf("no decision was written: %v", reasons(events))
		}
		attacked(t, attacks, events)
	})
	s.onlyGranted()
}

// attacks writes the scripts of TestNetworkAttacks into the working directory.
func (b *bench) attacks() {
	b.t.Helper()
	scripts := map[string]string{}
	for _, c := range networkAttacks {
		scripts[c.name] = c.script
	}
	text, err := json.Marshal(scripts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("attacks.json", string(text), 0o644)
	b.write("attacks.py", attackAll, 0o644)
}

// attackAll runs them, all in one process.
const attackAll = attackHelp + `
import json
rate=('many names','questions over many connections') # last: they use up the questions there are
for name,script in sorted(json.load(open('attacks.json')).items(),key=lambda x:x[0] in rate):
    print('ATTACK',name,flush=True)
    try: exec(compile(script,name,'exec'),globals())
    except Exception as e: print(repr(e))
    time.sleep(0.2) # so many questions a second
`

// attacked compares what they printed, and the events.
func attacked(t *testing.T, out string, events []event) {
	t.Helper()
	said := map[string]string{}
	name := ""
	for line := range strings.Lines(out) {
		if n, ok := strings.CutPrefix(line, "ATTACK "); ok {
			name = strings.TrimSpace(n)
			continue
		}
		said[name] += line
	}
	got := reasons(events)
	for _, c := range networkAttacks {
		if said[c.name] != c.out {
			t.Errorf("%s: printed %q, want %q", c.name, said[c.name], c.out)
		}
		if !got[c.event] {
			t.Errorf("%s: no event says %q", c.name, c.event)
		}
	}
}

// What a manifest pins is compared before anything starts, and the opening event has it; what is not pinned so is refused, and nothing ran.
func TestManifestOfMachine(t *testing.T) {
	onMachines(t, func(t *testing.T, b *bench) {
		kernels, _ := filepath.Glob("/boot/vmlinuz-*")
		kernel, err := os.ReadFile(kernels[len(kernels)-1])
		if err != nil {
			t.Skip("needs to read the kernel: " + err.Error())
		}
		digest := fmt.Sprintf("%x", sha256.Sum256(kernel))
		b.env = append(b.env, "CELLOS_FIRECRACKER_KERNEL_IMAGE="+kernels[len(kernels)-1])
		qemu, err := exec.LookPath("qemu-system-x86_64")
		if err == nil {
			qemu, err = filepath.EvalSymlinks(qemu)
		}
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(qemu)
		if err != nil {
			t.Fatal(err)
		}
		vmm := fmt.Sprintf("%x", sha256.Sum256(program))
		manifest := b.write("manifest", "# pinned\nsha256:"+digest+"  kernel  "+kernels[len(kernels)-1]+"\nsha256:"+vmm+" vmm "+qemu+"\n", 0o644)
		events := filepath.Join(filepath.Dir(b.dir), "events.jsonl")
		b.env = append(b.env, "CELLOS_FIRECRACKER_MANIFEST="+manifest)
		b.cell([]string{"--events", events}, "true").ok(t)
		started := dataOf(t, events, "lifecycle.v1.started")
		if started["kernelDigestSha256"] != digest || started["firecrackerDigestSha256"] != vmm || started["rootfsDigestSha256"] != nil {
			t.Errorf("the opening event: %v", started)
		}
		other := strings.Repeat("0", 64)
		b.write("manifest", "sha256:"+other+" kernel /boot/x\n", 0o644)
		os.Remove(events)
		b.cell([]string{"--events", events}, "true").fails(t, 125, "artifact digest mismatch for role kernel", digest)
		if started := dataOf(t, events, "lifecycle.v1.started"); started != nil {
			t.Errorf("it started: %v", started)
		}
	})
}

// dataOf is the data of the last event of a type; nil if there is none.
func dataOf(t *testing.T, file, kind string) (data map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Type, kind) {
			data = e.Data
		}
	}
	return data
}

// What a machine needs and the host has not is named, with the remedy, before anything starts.
func TestNoMachine(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		u.backend = "microvm"
		b := newBench(t, u)
		b.env = append(b.env, "CELLOS_MICROVM_VMM=qemu")
		foreign := b.write("vmlinuz-6.1.0-foreign", strings.Repeat("\x00", 0x38)+"ARM\x64"+strings.Repeat("\x00", 600), 0o644)
		if runtime.GOARCH == "arm64" {
			foreign = b.write("vmlinuz-6.1.0-foreign", strings.Repeat("\x00", 0x202)+"HdrS\x0f\x02"+strings.Repeat("\x00", 600), 0o644)
		}
		for _, x := range []struct {
			name string
			env  []string
			want []string
		}{
			{"no monitor", []string{"PATH=/nowhere"}, []string{"there is no qemu-system-", "install QEMU"}},
			{"a kernel that is not there", []string{"CELLOS_FIRECRACKER_KERNEL_IMAGE=/nowhere/vmlinuz-1"}, []string{"/nowhere/vmlinuz-1", "no such file"}},
			{"a kernel for another processor", []string{"CELLOS_FIRECRACKER_KERNEL_IMAGE=" + foreign}, []string{"is a kernel for ", "the machine is " + runtime.GOARCH}},
			{"no kernel at all", []string{"CELLOS_FIRECRACKER_KERNEL_IMAGE=" + b.write("vmlinuz-x", "text", 0o644)}, []string{"no Linux kernel"}},
			{"a kernel without modules", []string{"CELLOS_FIRECRACKER_KERNEL_IMAGE=" + b.write("vmlinux-9.9.9-none", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 9)+"\x02\x00"+map[string]string{"amd64": "\x3e", "arm64": "\xb7"}[runtime.GOARCH]+"\x00"+strings.Repeat("\x00", 600), 0o644)},
				[]string{"its modules are not in /lib/modules/9.9.9-none"}},
			{"a relative kernel", []string{"CELLOS_FIRECRACKER_KERNEL_IMAGE=vmlinuz"}, []string{"is not absolute"}},
			{"a store of somebody else's", []string{"CELLOS_IMAGES=/tmp"}, []string{"others can write to it"}},
		} {
			if _, err := exec.LookPath("qemu-system-x86_64"); err != nil && x.name != "no monitor" {
				continue
			}
			was := b.env
			b.env = append(slices.Clone(b.env), x.env...)
			r := b.cell(nil, "true")
			b.env = was
			if r.code != 125 && r.code != 2 {
				t.Errorf("%s: status %d: %s", x.name, r.code, r.err)
			}
			for _, w := range x.want {
				if !strings.Contains(r.err, w) {
					t.Errorf("%s: %q is not in %q", x.name, w, r.err)
				}
			}
		}
	})
}
