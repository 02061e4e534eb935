package supervisor

import "syscall"

// held stops the cell while its evidence cannot be written, and lets it go on.
func (l *life) held(err error) {
	if err != nil {
		l.cell.Signal(int(syscall.SIGSTOP), true)
	} else {
		l.cell.Signal(int(syscall.SIGCONT), true)
	}
	l.Held(err)
}
