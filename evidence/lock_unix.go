//go:build unix

package evidence

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lockTime is how long another process may keep a shared file locked, which takes it some ten microseconds.
const lockTime = 10 * time.Second

// lock takes the lock of flock(2). It asks again and again, because a process that was stopped keeps it for ever.
func lock(f *os.File) error {
	began := time.Now()
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 2*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return err
		case time.Since(began) > lockTime:
			return errors.New("another process keeps it locked")
		}
		time.Sleep(pause)
	}
}

func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
