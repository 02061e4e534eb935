package e2e

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestDecisionsOutliveTheSupervisor: a connection that was decided on while the supervisor could not write is in the record all the same,
// once, whoever closes it.
func TestDecisionsOutliveTheSupervisor(t *testing.T) {
	needs(t, "python3")
	s := newSite(t)
	each(t, func(t *testing.T, u user) {
		b := online(t, u)
		out := newBench(t, u).dir
		script := `echo ready; while [ ! -e ` + out + `/go ]; do sleep 0.02; done; python3 -c "import socket,os
for i in (1,2): print(socket.create_connection(('echo.test',int(os.environ['ECHO']))).recv(5))" >` + out + `/new; mv ` + out + `/new ` + out + `/done; sleep 100`
		flags := append(append(s.grant("echo.test:"+s.echo), s.variables()...), "--write", out)
		cmd, r := b.start(script, flags...)
		go io.Copy(io.Discard, r)
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		until(t, "the supervisor stands still", func() bool { return processState(cmd.Process.Pid) == 'T' })
		if err := os.WriteFile(out+"/go", nil, 0o644); err != nil {
			t.Fatal(err)
		}
		until(t, "the cell has connected", func() bool { _, err := os.Stat(out + "/done"); return err == nil })
		if said, _ := os.ReadFile(out + "/done"); string(said) != "b'hello'\nb'hello'\n" {
			t.Errorf("the cell said %q", said)
		}
		cmd.Process.Kill()
		cmd.Wait()
		count := func() (n int) {
			for _, line := range b.record() {
				if strings.Contains(line, "network_flow_decision") && strings.Contains(line, `"decision":"allow"`) {
					n++
				}
			}
			return n
		}
		if n := count(); n != 0 {
			t.Errorf("a supervisor that stood still wrote %d decisions, so that this test shows nothing", n)
		}
		b.cellos("runs", "--recover").ok(t)
		if n := count(); n != 2 {
			t.Errorf("%d decisions are in the record, want 2:\n%s", n, strings.Join(b.record(), "\n"))
		}
		b.cellos("verify", "last").ok(t)
		if _, err := os.Stat(strings.TrimSpace(runsOf(t, b)[0].Path) + "/ahead"); !os.IsNotExist(err) {
			t.Errorf("what was written ahead is still there: %v", err)
		}
	})
}
