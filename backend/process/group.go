//go:build linux && (amd64 || arm64)

package process

import (
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// join puts the child into the cell's control group where it was not born there. A child that root started waits for its identity maps
// meanwhile.
func (c *processCell) join() error {
	if c.group == nil {
		return nil
	}
	if err := c.group.Add(c.proc.Pid()); err != nil {
		return err
	}
	c.group.OnOutOfMemory(func() { c.proc.Kill() })
	return nil
}

// observeGroup adds what the control group shows to an observation.
func (c *processCell) observeGroup(o *observation) error {
	if c.group == nil {
		return nil
	}
	saw, holds, err := c.group.Measure(c.proc.Pid())
	o.layers[plan.LayerGroup] = seen{saw, holds}
	return err
}

// counted returns what the control group counted; nil if there is none.
func (c *processCell) counted() *cell.Usage {
	if c.group == nil {
		return nil
	}
	u := c.group.Usage()
	return &u
}

// Counted returns what the control group has counted until now, nil if there is none: for a cell that runs another kernel.
func (c *processCell) Counted() *cell.Usage { return c.counted() }

// leftGroup removes the control group, and returns what would not go.
func (c *processCell) leftGroup() cell.Check {
	check := cell.Check{What: "control group"}
	left, err := c.group.Remove()
	if err != nil {
		left = append(left, err.Error())
	}
	check.Found = left
	return check
}
