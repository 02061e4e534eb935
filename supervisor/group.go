package supervisor

import (
	"fmt"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/evidence"
)

// outOfMemory reports whether the command ended because the cell's memory was used up, and not merely lost a process to that.
func outOfMemory(o cell.Outcome) bool {
	return o.OutOfMemory() && (o.Signal != 0 || o.Code != 0)
}

// counted adds what the cell's control group counted to the event that tells how the command ended.
func counted(c *evidence.Command, u *cell.Usage) {
	if u == nil {
		return
	}
	c.Processes = int64(u.Processes)
	if c.Details == nil {
		c.Details = map[string]any{}
	}
	if u.Memory != 0 {
		m := map[string]any{"limitBytes": u.Memory, "oomKills": u.OOMKills}
		if u.Claimed {
			m["claimedBy"] = "guest"
		} else {
			m["peakBytes"] = u.MemoryPeak
		}
		c.Details["memory"] = m
	}
	if u.Throttled != 0 {
		c.Details["cpu"] = map[string]any{"throttledPeriods": u.Throttled, "throttledNanos": u.ThrottledTime.Nanoseconds()}
	}
}

// groupLimit is the error of a command that the kernel ended at the limit of its control group, or whose limits did not last.
func (l *life) groupLimit() error {
	o := l.outcome
	switch {
	case o.Group == nil:
		return nil
	case o.Group.Err != nil:
		return o.Group.Err
	case outOfMemory(o) && o.Group.Claimed:
		return fmt.Errorf("the virtual machine's memory of %d bytes was used up, and its kernel ended the command (so the guest says)", o.Group.Memory)
	case outOfMemory(o):
		return fmt.Errorf("the cell used up its memory of %d bytes (%s), and the kernel ended it", o.Group.Memory, l.Plan.Limits.MemoryFrom)
	}
	return nil
}

// groupUse adds what the cell's control group counted to what was granted.
func groupUse(u *evidence.Usage, g *cell.Usage) {
	if g == nil {
		return
	}
	if g.Memory != 0 {
		m := u.Limit("memory")
		m.Peak, m.Reached = seen(g.MemoryPeak), g.OOMKills > 0
	}
	if g.Processes != 0 {
		u.Limit("processes").Peak = number(int64(g.Processes))
	}
}
