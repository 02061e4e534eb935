//go:build !linux || (!amd64 && !arm64)

package spawn

import "cellos.io/cellos/table"

// Process is a started process; on this system there are none.
type Process struct{}

func unsupported() error {
	return &Unsupported{Feature: "starting a process from a table of system calls", Since: "Linux on amd64 or arm64"}
}

// Start refuses: see the package comment.
func Start(Request) (*Process, error) { return nil, unsupported() }

// Pid returns -1.
func (p *Process) Pid() int { return -1 }

// PidFD returns -1.
func (p *Process) PidFD() int { return -1 }

// Executed refuses.
func (p *Process) Executed() error { return unsupported() }

// Wait refuses.
func (p *Process) Wait() (Status, error) { return Status{}, unsupported() }

// Kill refuses.
func (p *Process) Kill() error { return unsupported() }

// Close does nothing.
func (p *Process) Close() error { return nil }

// Prepared is a process that waits for its table; on this system there are none.
type Prepared struct{}

// Prepare refuses: see the package comment.
func Prepare(uint64) (*Prepared, error) { return nil, unsupported() }

// PID returns -1.
func (p *Prepared) PID() int { return -1 }

// Start refuses.
func (p *Prepared) Start(table.Table, map[string]int) (*Process, error) { return nil, unsupported() }

// Close does nothing.
func (p *Prepared) Close() error { return nil }
