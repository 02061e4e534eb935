//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"os"
	"sync"
	"time"
)

// A console keeps the last of what the monitor and the guest's kernel print.
type console struct {
	file *os.File
	mu   sync.Mutex
	tail []byte
	done chan struct{}
}

const maxConsole = 16 << 10

func watchConsole(f *os.File) *console {
	k := &console{file: f, done: make(chan struct{})}
	k.watch()
	return k
}

// watch reads until nobody prints any more, or pause.
func (k *console) watch() {
	go func() {
		f := k.file
		defer close(k.done)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			k.mu.Lock()
			k.tail = append(k.tail, buf[:n]...)
			if over := len(k.tail) - maxConsole; over > 0 {
				k.tail = append(k.tail[:0], k.tail[over:]...)
			}
			k.mu.Unlock()
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					f.Close()
				}
				return
			}
		}
	}()
}

// pause stops reading, and leaves the file open: another process goes on.
func (k *console) pause() {
	k.file.SetReadDeadline(time.Unix(1, 0))
	<-k.done
}

// over is closed when nothing more is printed; nil, on which nobody should wait without a bound, where there is no console.
func (k *console) over() <-chan struct{} {
	if k == nil {
		return nil
	}
	return k.done
}

func (k *console) text() string {
	if k == nil {
		return ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.tail)
}
