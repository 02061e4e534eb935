package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

func machine(t *testing.T) *sysabi.Arch {
	t.Helper()
	a, ok := sysabi.ArchByName(runtime.GOARCH)
	if !ok {
		t.Fatal("no tables for " + runtime.GOARCH)
	}
	return a
}

// compiled is the program of a profile.
func compiled(t *testing.T, name string, a *sysabi.Arch) []byte {
	t.Helper()
	b, err := seccomp.ProfileBytes(name, a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// denies makes a program that refuses one call with EPERM and allows the rest. It checks no architecture, as simple ones do.
func denies(t *testing.T, call string) []byte {
	t.Helper()
	nr, ok := machine(t).Number(call)
	if !ok {
		t.Fatal("no number of " + call)
	}
	return seccomp.Program{{Code: 0x20}, {Code: 0x15, JF: 1, K: uint32(nr)}, {Code: 6, K: 0x50001}, {Code: 6, K: uint32(seccomp.Allow)}}.Bytes()
}

const ociPolicy = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["uname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}`
const ownPolicy = "name: mine\ndefault: allow\nrules:\n  - calls: [uname]\n    action: errno EPERM\n"

// count is how many filters the test, and so every cell, runs under already.
func count(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "Seccomp_filters:")
	if !ok {
		t.Skip("the kernel does not count filters (Linux 5.9)")
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFilterFiles gives the same refusal in every format, by the flag, in a document, and by the operator's variable.
func TestFilterFiles(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		filters := func(more int) string {
			if u.backend == "gvisor" {
				return "" // gVisor does not count them; what they refuse shows that they are there
			}
			return fmt.Sprintf("Seccomp_filters:\t%d\n", count(t)+more)
		}
		b.write("raw.bpf", string(denies(t, "uname")), 0o600)
		b.write("oci.json", ociPolicy, 0o644)
		b.write("own.yaml", ownPolicy, 0o644)
		b.write("own.json", `{"default": "allow", "rules": [{"calls": ["uname"], "action": "errno EPERM"}]}`, 0o644)
		script := `grep ^Seccomp_filters /proc/self/status; uname || echo refused; unshare -U true || echo hardened`
		want := filters(2) + "refused\nhardened\n"
		for _, f := range []string{"raw.bpf", "oci.json", "own.yaml", "own.json"} {
			if out := b.sh(script, "--seccomp", f).ok(t); out != want {
				t.Errorf("--seccomp %s: %q", f, out)
			}
			doc := map[string]any{"apiVersion": "cellos.io/v1", "kind": "ExecutionCell", "spec": map[string]any{
				"id": "filters", "lifetime": map[string]any{"ttlSeconds": 60}, "authority": map[string]any{},
				"run": map[string]any{"argv": []string{"sh", "-c", script}, "secretDelivery": "env", "seccomp": map[string]any{"file": filepath.Join(b.dir, f)}}}}
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			b.write("cell.json", string(text), 0o644)
			if out := b.cellos("run", "cell.json").ok(t); out != want {
				t.Errorf("a document with %s: %q", f, out)
			}
		}
		c := b.command("run", "--", "sh", "-c", script)
		c.Env = append(c.Env, "CELLOS_SECCOMP_BPF_PATH=raw.bpf")
		if out := b.run(c).ok(t); out != want {
			t.Errorf("the variable: %q", out)
		}
		// All three, and the weakest profile: none widens another, all are counted, and the record has them.
		c = b.command("run", "--seccomp", "baseline+net-none", "--seccomp", "own.yaml", "--workdir", ".:write", "--", "sh", "-c",
			`grep ^Seccomp_filters /proc/self/status; uname; mkdir x; mount -t tmpfs x /tmp || echo baseline`)
		b.write("mkdir.bpf", string(denies(t, "mkdir")), 0o600)
		c.Env = append(c.Env, "CELLOS_SECCOMP_BPF_PATH="+filepath.Join(b.dir, "mkdir.bpf"), "CELLOS_SUBPROCESS_SECCOMP= BPF ")
		r := b.run(c)
		if r.out != filters(4)+"baseline\n" {
			t.Errorf("the stack: %q, %s", r.out, r.err)
		}
		plan := b.cellos("show", "--plan", "last").ok(t)
		for _, want := range []string{"set-id, ", "baseline+net-none, ", "own.yaml, ", "mkdir.bpf, 4 instructions, from CELLOS_SECCOMP_BPF_PATH, loaded just before the command", "sha256 "} {
			if !strings.Contains(plan, want) {
				t.Errorf("the plan does not say %q", want)
			}
		}
		events := b.cellos("show", "--events", "last").ok(t)
		seen := "in gVisor's kernel 5 filters in force"
		if u.backend == "" {
			seen = fmt.Sprintf("the command's process: Seccomp 2, %d filters", count(t)+4)
		}
		for _, want := range []string{seen, `"seccompFilters":[{`, `"by":"CELLOS_SECCOMP_BPF_PATH","instructions":4,`} {
			if !strings.Contains(events, want) {
				t.Errorf("the events do not say %q", want)
			}
		}
	})
}

// TestStrict: one program, threads, files; nothing else.
func TestStrict(t *testing.T) {
	everywhere(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for _, profile := range []string{"strict", "strict+net-none", "strict+debug"} {
			r := b.sh(`echo started; (echo forked) || echo no process; exec ls`, "--seccomp", profile)
			if r.out != "started\n" || !strings.Contains(r.err, "Cannot fork") {
				t.Errorf("%s: %q, %q", profile, r.out, r.err)
			}
			r = b.sh(`echo started; exec /bin/echo again`, "--seccomp", profile)
			if r.code != 126 || r.out != "started\n" {
				t.Errorf("%s executes again: %d, %q", profile, r.code, r.out)
			}
			b.cell([]string{"--seccomp", profile}, "sort", "/etc/hostname-that-is-not-there").fails(t, 2)
		}
		needs(t, "python3")
		b.write("t.py", `
import socket, os, threading, ctypes
n = []
threads = [threading.Thread(target=n.append, args=(i,)) for i in range(8)]
for x in threads: x.start()
for x in threads: x.join()
open("/tmp/x", "w").write("ok")
def tries(f):
    try: f(); return "done"
    except OSError as e: return e.strerror
print(len(n), open("/tmp/x").read(), tries(lambda: socket.socket()), tries(os.fork), tries(lambda: os.execv("/bin/true", ["true"])), tries(lambda: os.chmod("/tmp/x", 0o600)))
`, 0o644)
		want := "8 ok Operation not permitted Operation not permitted Operation not permitted Operation not permitted\n"
		if out := b.cell([]string{"--seccomp", "strict"}, "/usr/bin/python3", "t.py").ok(t); out != want {
			t.Errorf("%q", out)
		}
		// A call that no honest program makes ends the process.
		b.write("k.py", "import ctypes; ctypes.CDLL(None).mount(None, None, None, 0, None); print('alive')\n", 0o644)
		b.cell([]string{"--seccomp", "strict"}, "/usr/bin/python3", "k.py").fails(t, 128+int(syscall.SIGSYS), "SIGSYS")
		// As the operator's, on top of another profile; and with a terminal.
		c := b.command("run", "--", "sh", "-c", "exec ls")
		c.Env = append(c.Env, "CELLOS_SUBPROCESS_SECCOMP=Strict")
		b.run(c).fails(t, 126)
		b.cell([]string{"--seccomp", "strict", "--tty"}, "true").ok(t)
	})
}

// TestOperatorVariables: the reference's values, precedence and texts, in a run and in the drop-in.
func TestOperatorVariables(t *testing.T) {
	each(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		b.write("uname.bpf", string(denies(t, "uname")), 0o600)
		b.write("cell.json", `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"v","lifetime":{"ttlSeconds":60},"authority":{},
			"run":{"argv":["sh","-c","grep ^Seccomp_filters /proc/self/status; uname"],"secretDelivery":"env"}}}`, 0o644)
		base := count(t)
		for _, c := range []struct {
			profile, path string // "-": not set
			more          int    // filters
			refused       bool   // uname
			says          string
			err           string
		}{
			{"-", "-", 0, false, "", ""},
			{"", "", 0, false, "", ""},
			{"off", "-", 0, false, "", ""},
			{"NONE", "", 0, false, "", ""},
			{"1", "-", 1, false, "", ""},
			{" Default\t", "-", 1, false, "", ""},
			{"baseline", "", 1, false, "", ""},
			{"hardened", "-", 1, false, "", ""},
			{"-", "uname.bpf", 1, true, "", ""},
			{"off", "uname.bpf", 1, true, "does not turn off", ""},
			{"\xff", "uname.bpf", 1, true, "is not valid UTF-8 and counts as unset", ""},
			{"file", "uname.bpf", 1, true, "", ""},
			{"bpf", "-", 0, false, "", "CELLOS_SUBPROCESS_SECCOMP=bpf requires CELLOS_SECCOMP_BPF_PATH"},
			{"path", "", 0, false, "", "CELLOS_SUBPROCESS_SECCOMP=bpf requires CELLOS_SECCOMP_BPF_PATH"},
			{"1", "nowhere", 0, false, "", "CELLOS_SUBPROCESS_SECCOMP=baseline cannot be combined with CELLOS_SECCOMP_BPF_PATH (nowhere)"},
			{"maybe", "nowhere", 0, false, "", `CELLOS_SUBPROCESS_SECCOMP must be one of: 1, default, baseline, bpf, 0, off, none (got "maybe")`},
			{"ba\u017feline", "-", 0, false, "", `CELLOS_SUBPROCESS_SECCOMP must be one of: 1, default, baseline, bpf, 0, off, none (got "`},
		} {
			for _, args := range [][]string{{"run", "cell.json"}, {"supervise", "cell.json"}, {"explain", "cell.json"}} {
				cmd := b.command(args...)
				for name, v := range map[string]string{"CELLOS_SUBPROCESS_SECCOMP": c.profile, "CELLOS_SECCOMP_BPF_PATH": c.path} {
					if v != "-" {
						cmd.Env = append(cmd.Env, name+"="+v)
					}
				}
				r := b.run(cmd)
				if c.err != "" {
					r.fails(t, 125, "cellos: error: "+c.err)
					continue
				}
				if !strings.Contains(r.err, c.says) {
					t.Errorf("%q, %q: %s does not say %q: %s", c.profile, c.path, args[0], c.says, r.err)
				}
				if args[0] == "explain" {
					continue
				}
				if want := fmt.Sprintf("Seccomp_filters:\t%d\n", base+1+c.more); !strings.HasPrefix(r.out, want) || strings.Contains(r.out, "Linux\n") == c.refused {
					t.Errorf("%q, %q: %s: %d, %q, %q", c.profile, c.path, args[0], r.code, r.out, r.err)
				}
			}
		}
	})
}
