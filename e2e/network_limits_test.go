package e2e

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// document runs a cell from a document of the site's, with more members of its authority.
func (s *site) document(b *bench, rules string, script string) (result, []event) {
	b.t.Helper()
	wd, _ := json.Marshal(b.dir)
	text, _ := json.Marshal(script)
	doc := `{"apiVersion":"cellos.io/v1","kind":"ExecutionCell","spec":{"id":"net","lifetime":{"ttlSeconds":60},
		"run":{"argv":["python3","-c",` + string(text) + `],"workingDirectory":` + string(wd) + `,"secretDelivery":"env","environment":{"HTTP":"` + s.http + `","ECHO":"` + s.echo + `","TLS":"` + s.tls + `","SILENT":"` + s.silent + `"}},
		"authority":{"secretRefs":[],"egressRules":[` + rules + `],"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"` + s.dns + `","protocol":"do53-udp"}],
		"rebindingPolicy":{"responseIpAllowlist":["a.test:127.0.0.1","echo.test:127.0.0.1"],"maxNovelIpsPerHostname":9}}}}}`
	file, events := b.write("net.json", doc, 0o644), filepath.Join(filepath.Dir(b.dir), "events.jsonl")
	os.Remove(events)
	r := b.cellos("run", "--events", events, file)
	return r, readEvents(b.t, events)
}

// TestNetworkBudgets: a rule that is used up refuses, cuts, and ends the cell where it says so.
func TestNetworkBudgets(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	for _, c := range []struct {
		name, host, port, budget, script, out, event string
		code                                         int
	}{
		{"connections", "echo.test", s.echo, `{"connections":2}`, `print([connect('echo.test',port('ECHO')) for i in range(3)])`, "['connected', 'connected', 'Connection refused']\n", "deny budget_exceeded", 0},
		{"bytes out", "echo.test", s.echo, `{"bytesOut":1000}`, `
s=socket.create_connection(('echo.test',port('ECHO'))); s.recv(6); n=0
try:
    for i in range(100):
        s.sendall(b'x'*100); n+=len(s.recv(100))
except OSError as e: print(n<=1000, e.strerror)
print(connect('echo.test',port('ECHO')))`, "True Connection reset by peer\nConnection refused\n", "deny budget_exceeded", 0},
		{"bytes in", "a.test", s.http, `{"bytesIn":1000000}`, `print(len(http(b'GET /big HTTP/1.0\r\nHost: a.test\r\n\r\n'))<=1000005)`, "True\n", "deny budget_exceeded", 0},
		{"requests", "a.test", s.http, `{"requests":2}`, `print(status(http((b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')*3))[:2])`, "", "deny budget_exceeded", 0},
		{"the end", "echo.test", s.echo, `{"connections":1,"onExceed":"end"}`, `print([connect('echo.test',port('ECHO')) for i in range(2)],flush=True); time.sleep(60)`, "", "deny budget_exceeded", 123},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			everywhere(t, func(t *testing.T, u user) {
				b := online(t, u)
				r, events := s.document(b, `{"host":"`+c.host+`","port":`+c.port+`,"budget":`+c.budget+`}`, attackHelp+c.script)
				if c.code == 0 && r.code != 0 || c.code != 0 && (r.code == 0 || !strings.Contains(r.err, "budget")) {
					t.Fatalf("exit status %d\n%s\n%s", r.code, r.out, r.err)
				}
				if c.out != "" && r.out != c.out {
					t.Errorf("printed %q, want %q", r.out, c.out)
				}
				if !reasons(events)[c.event] {
					t.Errorf("no event says %q: %v", c.event, reasons(events))
				}
			})
		})
	}
}

// TestNetworkLimits: what one cell may do at once, and that every refusal is counted.
func TestNetworkLimits(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	everywhere(t, func(t *testing.T, u user) {
		b := online(t, u)
		// Thousands of refused connections: all in the account, few as events, the rest as a signed record of how many.
		r, events := s.document(b, `{"host":"echo.test","port":`+s.echo+`},{"host":"a.test","port":`+s.silent+`}`, attackHelp+`
for i in range(3000):
    assert connect('192.0.2.7',1+i%60000)=='Connection refused'
print(connect('echo.test',port('ECHO')))`)
		if out := r.ok(t); out != "connected\n" {
			t.Errorf("printed %q", out)
		}
		if n := use(t, events)["refused"].(map[string]any)["nft_default_drop"]; n != 3000.0 {
			t.Errorf("the account has %v refusals", n)
		}
		written, missed := 0.0, 0.0
		for _, e := range events {
			switch e.Type {
			case "dev.cellos.events.cell.observability.v1.network_flow_decision":
				if e.Data["decision"] == "deny" {
					written++
				}
			case "io.cellos.evidence.v1.network_gap":
				for _, x := range e.Data["counts"].([]any) {
					missed += x.(map[string]any)["count"].(float64)
				}
			}
		}
		if written+missed != 3000 || written > 1000 {
			t.Errorf("%v refusals were written and %v counted", written, missed)
		}
		b.cellos("verify", "last").ok(t)
	})
}

// TestGateDies: without the gate the cell ends, and nothing is left of either.
func TestGateDies(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	everywhere(t, func(t *testing.T, u user) {
		b := online(t, u)
		if b.closedTUN {
			t.Skip("the gate is the child of a child there")
		}
		cmd := b.command(append(append([]string{"run"}, s.grant("echo.test:"+s.echo)...), "--", "sh", "-c", "echo up; exec sleep 60")...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		gate := gateOf(t, cmd.Process.Pid)
		if err := syscall.Kill(gate, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "the gate ended") {
			t.Errorf("%v\n%s", err, said.String())
		}
	})
}

// gateOf finds the gate of a supervisor.
func gateOf(t *testing.T, supervisor int) int {
	t.Helper()
	var all []string
	tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(supervisor) + "/task")
	for _, x := range tasks {
		more, _ := os.ReadFile("/proc/" + strconv.Itoa(supervisor) + "/task/" + x.Name() + "/children")
		all = append(all, strings.Fields(string(more))...)
	}
	for _, p := range all {
		if name, _ := os.ReadFile("/proc/" + p + "/comm"); strings.TrimSpace(string(name)) == "cellos-gate" {
			n, _ := strconv.Atoi(p)
			return n
		}
	}
	t.Fatalf("no gate among %v", all)
	return 0
}

// TestGateIsConfined: the process that reads what the cell sends has no rights, no files and few system calls, whoever started it.
func TestGateIsConfined(t *testing.T) {
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		cmd, r := b.start("echo ready; exec sleep 100", s.grant("echo.test:"+s.echo)...)
		defer cmd.Wait()
		defer cmd.Process.Kill()
		go io.Copy(io.Discard, r)
		gate := "/proc/" + strconv.Itoa(gateOf(t, cmd.Process.Pid))
		tasks, err := os.ReadDir(gate + "/task")
		if err != nil || len(tasks) == 0 {
			t.Fatalf("%d threads, %v", len(tasks), err)
		}
		for _, x := range tasks {
			text, err := os.ReadFile(gate + "/task/" + x.Name() + "/status")
			if err != nil {
				continue // a thread may end
			}
			got := map[string]string{}
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(line, ":")
				got[name] = strings.Join(strings.Fields(value), " ")
			}
			for name, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "CapPrm": "0000000000000000", "CapInh": "0000000000000000", "Groups": ""} {
				if got[name] != want && !(name == "Groups" && u.uid != 0) {
					t.Errorf("%s of thread %s is %q, want %q", name, x.Name(), got[name], want)
				}
			}
			if strings.Contains(" "+got["Uid"]+" "+got["Gid"]+" ", " 0 ") {
				t.Errorf("thread %s is user %s, group %s", x.Name(), got["Uid"], got["Gid"])
			}
		}
		if os.Getuid() != 0 {
			if _, err := os.ReadFile(gate + "/environ"); err == nil {
				t.Error("others of its user can look into it")
			}
		}
	})
}

// TestGateIsStopped: a gate that stands still lets nothing pass, and when the command has ended the run does too, and says so. The gate is gone.
func TestGateIsStopped(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		if b.closedTUN {
			t.Skip("the gate is the child of a child there")
		}
		cmd := b.command(append(append(append([]string{"run"}, s.grant("echo.test:"+s.echo)...), s.variables()...), "--", "/usr/bin/python3", "-c", attackHelp+`
to=socket.gethostbyname('echo.test'); print('up',flush=True); input()
s=socket.socket(); s.settimeout(1)
try: s.connect((to,port('ECHO'))); print('connected')
except TimeoutError: print('nothing')
`)...)
		in, out, said := begun(t, cmd)
		if _, err := out.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		gate := gateOf(t, cmd.Process.Pid)
		if err := syscall.Kill(gate, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		until(t, "the gate stands still", func() bool { return processState(gate) == 'T' })
		io.WriteString(in, "\n")
		if text, err := io.ReadAll(out); string(text) != "nothing\n" || err != nil {
			t.Errorf("the cell printed %q, %v", text, err)
		}
		if code := exitCode(cmd.Wait()); code != 123 || !strings.Contains(said.String(), "the gate gave no account") {
			t.Errorf("exit status %d\n%s", code, said.String())
		}
		if processState(gate) != 0 {
			t.Errorf("the gate is still there, in state %c", processState(gate))
		}
		b.cellos("verify", "last").ok(t)
	})
}
