//go:build linux && (amd64 || arm64)

package microvm

import (
	"os"
	"sync"
)

// A console keeps the last of what the monitor and the guest's kernel print.
type console struct {
	mu   sync.Mutex
	tail []byte
	done chan struct{}
}

const maxConsole = 16 << 10

func watchConsole(f *os.File) *console {
	k := &console{done: make(chan struct{})}
	go func() {
		defer close(k.done)
		defer f.Close()
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
				return
			}
		}
	}()
	return k
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
