package e2e

import (
	"encoding/json"
	"os/exec"
	"testing"
)

// A dropin is a place to run cellos-supervisor in, with no environment but what a case names.
type dropin struct {
	*bench
}

func newDropin(t *testing.T, u user) *dropin { return &dropin{newBench(t, u)} }

// supervisor prepares cellos under the name by which it is the drop-in.
func (d *dropin) supervisor(env []string, args ...string) *exec.Cmd {
	if d.closedTUN { // another program is in between, which names cellos itself
		args = append([]string{"supervise"}, args...)
	}
	cmd := d.command(args...)
	if !d.closedTUN {
		cmd.Args[0] = "cellos-supervisor"
	}
	cmd.Env = append([]string{"CELLOS_STATE=" + d.state}, env...)
	return cmd
}

// file makes a file of the case with what it holds: a text, or an object that is written compact.
func (d *dropin) file(name string, content json.RawMessage) {
	d.t.Helper()
	text := string(content)
	if json.Unmarshal(content, &text) != nil {
		text = string(content)
	}
	d.write(name, text, 0o644)
}
