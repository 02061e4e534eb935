//go:build linux && (amd64 || arm64)

package process

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cellinit"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// lateFilters gives the command's process the filters that it loads itself. Those that allow execve once are compiled for three
// addresses that nobody but this process and PID 1 knows, and that are gone after the execve. The filters of a watched command are
// joined to one.
func (c *processCell) lateFilters(b *cellinit.Boot) error {
	p := c.plan
	if p.LateFilters() == 0 {
		return nil
	}
	a, _ := sysabi.ArchByName(p.Arch)
	list, err := programs(p, a, &b.Exec)
	if err != nil {
		return err
	}
	if p.Watch != authority.WatchNone {
		c.watch.programs = list
		f, err := c.watch.watching(p.Watch, a)
		b.Filters = []cellinit.LateFilter{f}
		return err
	}
	for i, f := range p.Filters {
		if f.Late {
			b.Filters = append(b.Filters, cellinit.LateFilter{Program: list[i].Bytes()})
		}
	}
	return nil
}

// secretAddresses chooses where the path, the arguments and the environment of the command's execve lie: each in a range of its own,
// above the programs and far below the stack and the shared libraries (39 bits are what the smallest configuration of arm64 has). Some
// 33 bits of each are random, and a guess must be right in all three at once.
func secretAddresses() (a [3]uint64) {
	var b [24]byte
	rand.Read(b[:]) // never fails
	for i, r := range [3][2]uint64{{1 << 33, 1 << 36}, {1 << 36, 1 << 37}, {1 << 37, 1 << 38}} {
		// The last 64 MiB of each range are left free: arguments and environment have up to 6 MiB of pointers.
		a[i] = r[0] + binary.LittleEndian.Uint64(b[8*i:])%(r[1]-r[0]-1<<26)
		a[i] &^= 7
	}
	return a
}

// awaitFilters waits until the command's process has loaded its filters, and returns its number; 0 if the plan has none for it. From
// here on to the release that process stands still.
func (c *processCell) awaitFilters(ctx context.Context) (pid int, err error) {
	if c.plan.LateFilters() == 0 {
		return 0, nil
	}
	m, err := c.conn.AwaitLoaded(ctx, true)
	var f *cellinit.CommandError
	switch {
	case errors.As(err, &f):
		return 0, hinted{&cell.StartError{Path: c.plan.Boot.Candidates[0], Stage: f.Stage.String(), Err: f.Errno},
			"the command's filters are those of the plan that are loaded just before it: cellos explain lists them"}
	case err != nil:
		return 0, fmt.Errorf("waiting for the command's filters: %w", err)
	case c.plan.Watch != authority.WatchNone:
		return m.PID, c.watch.listen(m)
	}
	return m.PID, nil
}

// measureFilters counts the filters of the command's process from outside.
func (c *processCell) measureFilters(pid int, o *observation) error {
	if pid == 0 {
		return nil
	}
	text, err := sysabi.ReadKernelFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return fmt.Errorf("measuring the command's filters: %w", err)
	}
	s, err := parseStatus(string(text))
	if err != nil {
		return fmt.Errorf("measuring the command's filters: %w", err)
	}
	l := o.layers[plan.LayerSeccomp]
	l.saw += fmt.Sprintf("; the command's process: Seccomp %d, %d filters", s.seccomp, s.filters)
	l.holds = l.holds && s.seccomp == 2 && s.noNewPrivs == 1 && (s.filters < 0 || s.filters == o.status.filters+c.plan.LateFilters())
	o.layers[plan.LayerSeccomp] = l
	return nil
}
