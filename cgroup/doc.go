// Package cgroup makes the control groups that hold the processes of a cell, and with them its limits of memory, processor time
// and processes: version 2 where the needed controllers are there, else version 1.
//
//	h.Cgroups, err = cgroup.Look(os.Getenv("CELLOS_CGROUP_PARENT"))  // where groups can be made; changes nothing
//	p, err := plan.For(a, h)                                         // decides: p.Cgroup
//	g, err := cgroup.Make(p.Cgroup)
//	spawn.Start(spawn.Request{…, Cgroup: g.FD()})                    // version 2: born in the group
//	g.Add(pid)                                                       // version 1: before the child goes on
//	left, err := g.Remove()                                          // kills what is still in it
//
// Every kind of cell uses it in the same way; what the limits are is the plan's decision. The package touches no group but the ones that
// it makes, except that it enables a controller in a folder that an operator named for that (Plan.Cgroup.Enable).
//
// See cgroups(7), and Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ in the kernel's source.
package cgroup
