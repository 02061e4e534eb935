package gate

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"cellos.io/cellos/sysabi"
)

// A device is the gate's end of the cell's link: one IP packet a read and a write (TUN; with a header of its own before it if Link.Offload
// says so), or one Ethernet frame (TAP, or a socket of AF_UNIX that keeps messages apart). The stack sees packets in all cases.
type device struct {
	file   *os.File // nil: there is no link yet
	conn   syscall.RawConn
	mtu    uint32
	frames *ethernet           // nil: packets
	head   int                 // bytes before a packet
	look   func([]byte) string // why an IP packet is dropped
	lost   func(error)

	capabilities stack.LinkEndpointCapabilities

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	dropped    counters
	buffers    sync.Pool
	done       chan struct{}
}

var _ stack.LinkEndpoint = (*device)(nil)

func newDevice(mtu int, look func([]byte) string, lost func(error)) *device {
	d := &device{mtu: uint32(mtu), look: look, lost: lost, done: make(chan struct{})}
	d.buffers.New = func() any { b := make([]byte, big+d.head); return &b }
	return d
}

// open gives the device its link. Precondition: nothing was written to it.
func (d *device) open(l Link, cell, cell6 netip.Addr) (err error) {
	switch {
	case l.Ethernet:
		d.frames, d.head = &ethernet{cell: cell, cell6: cell6}, frameHead
	case l.Offload:
		d.head, d.capabilities = offloadHead, stack.CapabilityRXChecksumOffload|stack.CapabilityTXChecksumOffload
	}
	if d.conn, err = l.Device.SyscallConn(); err != nil {
		return fmt.Errorf("serving the cell's network device: %w", err)
	}
	d.file = l.Device
	return nil
}

// close ends serve, which has begun if there is a link.
func (d *device) close() {
	if d.file != nil {
		d.file.Close()
		<-d.done
	}
}

// Sizes of packets, in bytes.
const (
	maxPacket = 1<<16 - 1 // IPv4 has none that is larger, and nobody here sends jumbograms
	big       = 1 << 15   // from here on a packet is worth a buffer of the largest size, and not worth a copy
	headers   = 128       // above IPv6 and TCP with all options
)

// serve reads packets until the device is gone: the cell ended, or Close was called.
func (d *device) serve() {
	defer close(d.done)
	head, v := make([]byte, d.head), buffer.NewViewSize(maxPacket+1)
	defer func() { v.Release() }()
	for {
		n, err := d.read(head, v.AsSlice())
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				d.lost(fmt.Errorf("reading the cell's network device: %w", err))
			}
			return
		}
		if n -= d.head; n < 0 {
			d.dropped.add(dropTruncated)
			continue
		}
		b := d.take(head, v.AsSlice()[:n])
		switch {
		case b == nil:
		case len(b) >= big:
			v.CapLength(len(b))
			d.deliver(b[0]>>4, buffer.MakeWithView(v))
			v = buffer.NewViewSize(maxPacket + 1)
		default:
			d.deliver(b[0]>>4, buffer.MakeWithData(b))
		}
	}
}

// read reads what is before a packet, and the packet.
func (d *device) read(head, b []byte) (n int, err error) {
	if len(head) == 0 {
		return d.file.Read(b)
	}
	both := [][]byte{head, b}
	if cerr := d.conn.Read(func(fd uintptr) bool {
		n, err = sysabi.Readv(int(fd), both)
		return err != syscall.EAGAIN
	}); cerr != nil {
		return 0, cerr
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// take looks at what came from the cell; nil: there is nothing in it for the stack. A packet begins where body does.
func (d *device) take(head, body []byte) []byte {
	switch {
	case d.frames != nil:
		packet, reply, why := d.frames.take(head, body)
		if why != "" {
			d.dropped.add(why)
		}
		if reply != nil {
			d.file.Write(reply)
		}
		if packet == nil {
			return nil
		}
		body = packet
	case d.head != 0:
		if why := takeOffload(head, body); why != "" {
			d.dropped.add(why)
			return nil
		}
	}
	why := d.look(body)
	if len(body) > int(d.mtu) && d.capabilities == 0 { // else it is a segment that was not cut
		why = dropLong
	}
	if why != "" {
		d.dropped.add(why)
		return nil
	}
	return body
}

// deliver hands a packet to the stack.
func (d *device) deliver(version byte, data buffer.Buffer) {
	proto := header.IPv4ProtocolNumber
	if version == 6 {
		proto = header.IPv6ProtocolNumber
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	if to := d.dispatcher.Load(); to != nil {
		(*to).DeliverNetworkPacket(proto, pkt)
	}
	pkt.DecRef()
}

// WritePackets implements stack.LinkWriter. A full device is the cell's own congestion: the packet is lost as on any link.
func (d *device) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		if err := d.write(pkt); err != nil {
			if n == 0 {
				return 0, &tcpip.ErrAborted{}
			}
			break
		}
		n++
	}
	return n, nil
}

// write sends a packet to the cell. What has headers in it is put together; the bytes of a large packet stay where they are.
func (d *device) write(pkt *stack.PacketBuffer) error {
	p := d.buffers.Get().(*[]byte)
	defer d.buffers.Put(p)
	size, slices := pkt.Size(), pkt.AsSlices()
	b := (*p)[:d.head]
	for len(slices) > 0 && (len(b)-d.head < headers || size < big) && len(slices[0]) <= cap(b)-len(b) {
		b, slices = append(b, slices[0]...), slices[1:]
	}
	switch {
	case d.frames != nil:
		if !d.frames.put(b, b[d.head]>>4) {
			return nil // nobody is there yet
		}
	case d.head != 0:
		putOffload(b[:d.head], b[d.head:], size)
	}
	if len(slices) == 0 {
		_, err := d.file.Write(b)
		return err
	}
	var err error
	all := append([][]byte{b}, slices...)
	if cerr := d.conn.Write(func(fd uintptr) bool {
		_, err = sysabi.Writev(int(fd), all)
		return err != syscall.EAGAIN
	}); cerr != nil {
		return cerr
	}
	return err
}

func (d *device) MTU() uint32                             { return d.mtu }
func (d *device) SetMTU(uint32)                           {}
func (d *device) MaxHeaderLength() uint16                 { return 0 }
func (d *device) LinkAddress() tcpip.LinkAddress          { return "" }
func (d *device) SetLinkAddress(tcpip.LinkAddress)        {}
func (d *device) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (d *device) AddHeader(*stack.PacketBuffer)           {}
func (d *device) ParseHeader(*stack.PacketBuffer) bool    { return true }

// Capabilities implements stack.LinkEndpoint. Checksums are computed and checked, except where the cell's kernel says for each packet whether it
// made one.
func (d *device) Capabilities() stack.LinkEndpointCapabilities { return d.capabilities }

// Attach implements stack.LinkEndpoint.
func (d *device) Attach(to stack.NetworkDispatcher) {
	if to == nil {
		d.dispatcher.Store(nil)
		return
	}
	d.dispatcher.Store(&to)
}
func (d *device) IsAttached() bool { return d.dispatcher.Load() != nil }
func (d *device) Wait()            {}

func (d *device) Close()                  {}
func (d *device) SetOnCloseAction(func()) {}

// counters count by reason.
type counters struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *counters) add(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[why]++
}

func (c *counters) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int64{}
	for k, v := range c.n {
		out[k] = v
	}
	return out
}
