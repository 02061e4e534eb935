//go:build unix

package analyze

import (
	"syscall"
	"time"
)

// spent is the processor time that this program has used. A busy machine does not make it longer.
func spent() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
