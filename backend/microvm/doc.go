// Package microvm is the backend that puts a cell into a virtual machine: the command gets a kernel of its own.
//
//	b := microvm.Backend{Monitor: microvm.QEMU{Program: "/usr/bin/qemu-system-x86_64"}, Store: store, Kernel: k, Program: self}
//	c, err := b.Build(ctx, p, streams) // p from plan.ForGuest
//
// The granted files become read-only images ([image.Store]). The program that emulates the machine, the monitor, is itself started in a
// cell of backend/process: it has the images and nothing else. In the machine the first process builds the command's cell by the steps
// of the plan, and speaks with this package by the protocol of package guest.
//
// What the guest says is a claim: every layer of the boundary tells which side saw what.
package microvm
