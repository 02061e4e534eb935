package gate

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// Bounds of questions over TCP, per resolver address.
const (
	maxNameConns = 8
	nameConnTime = 10 * time.Second
)

// serveUDP answers questions in datagrams until the socket is closed.
func (g *Gate) serveUDP(pc net.PacketConn) {
	buf := make([]byte, maxQuery+1)
	slots := make(chan struct{}, 64)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		msg := append([]byte(nil), buf[:n]...)
		slots <- struct{}{}
		go func() { // a question that the supervisor has to ask itself does not hold up the others
			defer func() { <-slots }()
			if r := g.answer(msg, false); r != nil {
				pc.WriteTo(r, from)
			}
		}()
	}
}

// serveTCP answers questions over connections until the socket is closed.
func (g *Gate) serveTCP(l net.Listener) {
	slots := make(chan struct{}, maxNameConns)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		default:
			c.Close()
			g.dropped.add("too many connections for names")
			continue
		}
		go func() {
			defer func() { c.Close(); <-slots }()
			g.serveNames(c)
		}()
	}
}

// serveNames answers the questions of one connection, RFC 7766: length, message.
func (g *Gate) serveNames(c net.Conn) {
	var size [2]byte
	buf := make([]byte, maxQuery)
	for {
		c.SetDeadline(time.Now().Add(nameConnTime))
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n == 0 || n > maxQuery {
			g.answer(nil, true) // counted as malformed
			return
		}
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return
		}
		r := g.answer(buf[:n], true)
		if r == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r))), r...)); err != nil {
			return
		}
	}
}
