package plan

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
)

// A device is shown where it is asked for, and is refused where the cell could not open it. Root's cells get its group.
func TestDevices(t *testing.T) {
	for _, c := range []struct {
		name   string
		host   Host
		device string
		entry  Entry
		group  uint32 // of the cell on the host
		want   string // why it is refused
	}{
		{"a user's", machine(), "/dev/kvm", Entry{Kind: Other, Mode: 0o660, GID: 107}, 1000, ""},
		{"root's by its group", rootful(), "/dev/kvm", Entry{Kind: Other, Mode: 0o660, GID: 107}, 107, ""},
		{"everybody's", rootful(), "/dev/kvm", Entry{Kind: Other, Mode: 0o666, GID: 107}, 0x70001234, ""},
		{"root's only", rootful(), "/dev/kvm", Entry{Kind: Other, Mode: 0o660}, 0, "only its owner"},
		{"no permission", machine(), "/dev/kvm", Entry{Kind: Unknown, Err: "permission denied"}, 0, "permission denied"},
		{"missing", machine(), "/dev/kvm", Entry{}, 0, "there is no device /dev/kvm"},
		{"a file", machine(), "/dev/kvm", Entry{Kind: Regular}, 0, "there is no device /dev/kvm"},
		{"elsewhere", machine(), "/srv/kvm", Entry{Kind: Other, Mode: 0o666}, 0, "no device of the folder /dev"},
		{"in a folder", machine(), "/dev/net/tun", Entry{Kind: Other, Mode: 0o666}, 0, "no device of the folder /dev"},
	} {
		a := &authority.Authority{ID: "d", Command: authority.Command{Argv: []string{"/bin/true"}, Hostname: "d"}, Work: authority.Work{Path: "/tmp", Mode: authority.Empty},
			Syscalls: "hardened", Limits: authority.Limits{Processes: 1, Scratch: 1 << 20}, Devices: []string{c.device}}
		f := maps.Clone(debian)
		f[c.device] = c.entry
		p, err := For(a, c.host.at(f, a))
		var refused Refused
		if c.want != "" {
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.IDs.HostGID != c.group {
			t.Errorf("%s: the cell's group is %d", c.name, p.IDs.HostGID)
		}
		if shown := execute(p).shows[c.device]; shown != c.device {
			t.Errorf("%s: it shows %q", c.name, shown)
		}
	}
}
