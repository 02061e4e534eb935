//go:build linux && (amd64 || arm64)

package process

import (
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A cell that was given a device can open it, and no other cell has it.
func TestDevice(t *testing.T) {
	const device = "/dev/kvm"
	if err := sysabi.Readable(device, false); err != nil {
		t.Skip("this machine has no " + device + " for this user: " + err.Error())
	}
	for _, devices := range [][]string{nil, {device}} {
		a := &authority.Authority{ID: "it", Command: authority.Command{Argv: []string{"/bin/sh", "-c", "exec 3<>" + device + " && echo open"}, Hostname: "it"},
			Work: authority.Work{Path: "/tmp", Mode: authority.Empty}, Syscalls: "hardened", Limits: authority.Limits{Processes: 8, Scratch: 1 << 20}, Devices: devices}
		h, err := host.Describe(plan.Paths(a))
		must(t, err)
		p, err := plan.For(a, h)
		must(t, err)
		w, text := output(t)
		c := built(t, p, cell.Streams{Out: w, Err: w})
		must(t, measured(t, c).Err(), c.Release(t.Context()))
		o, err := c.Wait()
		must(t, err)
		if out := text(); (o.Code == 0) != (len(devices) > 0) || strings.Contains(out, "open\n") != (len(devices) > 0) {
			t.Errorf("%v: %+v, %q", devices, o, out)
		}
	}
}
