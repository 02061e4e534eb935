//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"

	"cellos.io/cellos/cell"
)

// Destroy ends the machine with its monitor.
func (c *machineCell) Destroy() cell.Residue {
	c.destroy.Do(func() {
		c.life.stop()
		if c.monitor != nil {
			c.residue = c.monitor.Destroy()
		}
		c.mu.Lock()
		conn := c.conn
		c.mu.Unlock()
		if conn != nil {
			conn.Close()
		}
		closeAll(c.in)
		c.closeOutputs() // nobody waits for their reader any more
		c.export.end(errors.New("the cell is being destroyed"))
		c.asked.cancel()
		if c.host != nil {
			<-c.over
			c.asked.all.Wait()
			for _, o := range c.outputs {
				o.finish()
			}
		}
		closeAll(c.link.ours, c.link.theirs)
		if c.changed != nil {
			c.changed.close()
		}
		if c.listener != nil {
			c.listener.Close()
			c.mu.Lock()
			client := c.client
			c.mu.Unlock()
			if client != nil {
				client.Close()
			}
			<-c.served
		}
		if c.diskConn != nil {
			c.diskConn.Close()
		}
		if c.server != nil {
			c.server.close()
		}
		closeAll(c.kernel, c.program)
		c.terminal.close()
		for _, img := range c.images {
			if c.view == nil || img != c.view.Image {
				img.Close()
			}
		}
		if c.view != nil {
			c.view.Close()
		}
	})
	return c.residue
}
