//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"fmt"
	"net"
)

// serve offers the view to the monitor on a socket in its working directory, over NBD or as a vhost-user device.
func (c *machineCell) serve(s Standing, vhostUser bool) error {
	l, err := s.listen("view")
	if err != nil {
		return fmt.Errorf("offering the system's files to the monitor: %w", err)
	}
	c.listener = l
	c.served = make(chan struct{})
	size := int64(0)
	if c.disk == nil {
		size = max(c.view.Blocks, 1) * 4096
	} else if vhostUser {
		l.Close()
		close(c.served)
		return errors.New("offering a disk to the monitor: a vhost-user device cannot be handed over to another process")
	}
	go func() {
		defer close(c.served)
		conn, err := l.AcceptUnix()
		l.Close() // nobody connects twice
		if err != nil {
			return
		}
		if c.disk != nil {
			c.server = serveDisk(conn, c.disk, false)
			return
		}
		c.mu.Lock()
		c.client = conn
		c.mu.Unlock()
		if vhostUser {
			serveVhostUser(conn, c.view, size)
		} else {
			serveNBD(conn, c.view, size)
		}
	}()
	return nil
}

var _ net.Conn = (*net.UnixConn)(nil)
