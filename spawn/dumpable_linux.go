//go:build amd64 || arm64

package spawn

import (
	"sync"

	"cellos.io/cellos/sysabi"
)

// dumpable guards the dumpable flag of this program's memory, which the kernel clears when a child that shares the memory
// changes its credentials (kernel/cred.c: commit_creds). The flag is one for the whole program, and so is the guard: with
// one in each Process, the second of two overlapping starts would take the cleared flag for the true one.
var dumpable memoryFlag

type memoryFlag struct {
	mu    sync.Mutex
	users int
	value int
}

// enter remembers the flag when the first child comes.
func (m *memoryFlag) enter() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == 0 {
		v, err := sysabi.Dumpable()
		if err != nil {
			return false, err
		}
		m.value = v
	}
	m.users++
	return true, nil
}

// leave puts the flag back, each time: another child may still clear it, and will leave later. The value 2, which only the
// kernel can set, stays as it is.
func (m *memoryFlag) leave() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	now, err := sysabi.Dumpable()
	if err != nil || now == m.value || m.value > 1 {
		return err
	}
	return sysabi.SetDumpable(m.value)
}
