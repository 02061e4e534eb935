//go:build linux && (amd64 || arm64)

package process

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/sysabi"
)

// opens counts what is opened through one granted mount.
type opens struct {
	at   string
	file *os.File
	n    atomic.Int64
	done chan struct{} // the reader has stopped
}

// WatchOpens begins to count what is opened through the mounts at paths of the cell. It is an observation and no layer: the kernel lets only the
// machine's root watch mounts; where it does not, nothing is counted, and the event usage says so. Precondition: Measure returned.
func (c *processCell) WatchOpens(at []string) {
	for _, path := range at {
		fd, err := sysabi.WatchOpens(fmt.Sprintf("/proc/%d/root%s", c.proc.Pid(), path))
		if err != nil {
			continue
		}
		o := &opens{at: path, file: os.NewFile(uintptr(fd), "fanotify"), done: make(chan struct{})}
		c.opens = append(c.opens, o)
		go o.read()
	}
}

// read keeps the kernel's queue short; it holds 16384 events, and equal ones that follow each other are one.
func (o *opens) read() {
	defer close(o.done)
	buf := make([]byte, 16<<10)
	for {
		n, err := o.file.Read(buf)
		o.count(buf[:max(n, 0)])
		if err != nil {
			return
		}
	}
}

// count takes events apart: struct fanotify_event_metadata, include/uapi/linux/fanotify.h.
func (o *opens) count(b []byte) {
	for len(b) >= 24 {
		size := binary.NativeEndian.Uint32(b)
		if size < 24 || uint64(size) > uint64(len(b)) {
			return
		}
		if binary.NativeEndian.Uint64(b[8:])&sysabi.FAN_OPEN != 0 {
			o.n.Add(1)
		}
		b = b[size:]
	}
}

// close takes what is left in the queue. Precondition: the processes of the cell have ended.
func (o *opens) close() {
	o.file.SetReadDeadline(time.Unix(1, 0))
	<-o.done
	o.file.SetReadDeadline(time.Time{})
	if raw, err := o.file.SyscallConn(); err == nil {
		buf := make([]byte, 16<<10)
		raw.Read(func(fd uintptr) bool {
			for {
				n, err := syscall.Read(int(fd), buf)
				if err == syscall.EINTR {
					continue
				}
				if err != nil || n <= 0 {
					return true
				}
				o.count(buf[:n])
			}
		})
	}
	o.file.Close()
}

// closeOpens ends the counting. Calling it again does nothing.
func (c *processCell) closeOpens() {
	for _, o := range c.opens {
		select {
		case <-o.done: // it was closed
		default:
			o.close()
		}
	}
}

// Meter tells how often something below each grant was opened.
func (c *processCell) Meter(u *evidence.Usage) {
	c.closeOpens()
	for _, o := range c.opens {
		for i := range u.Files {
			if u.Files[i].At == o.at && u.Files[i].Mode == "" {
				n := o.n.Load()
				u.Files[i].Opened = &n
			}
		}
	}
}
