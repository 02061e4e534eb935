package gate

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A device is the gate's end of the cell's link: one IP packet a read and a write (TUN), or one Ethernet frame (TAP, or a socket of
// AF_UNIX that keeps messages apart). The stack sees packets in both cases.
type device struct {
	file   *os.File
	mtu    uint32
	frames *ethernet           // nil: packets
	look   func([]byte) string // why an IP packet is dropped
	lost   func(error)

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	dropped    counters
	buffers    sync.Pool
	done       chan struct{}
}

var _ stack.LinkEndpoint = (*device)(nil)

func newDevice(f *os.File, mtu int, frames *ethernet, look func([]byte) string, lost func(error)) *device {
	d := &device{file: f, mtu: uint32(mtu), frames: frames, look: look, lost: lost, done: make(chan struct{})}
	d.buffers.New = func() any { b := make([]byte, mtu+frameHead); return &b }
	return d
}

// serve reads packets until the device is gone: the cell ended, or Close was called.
func (d *device) serve() {
	defer close(d.done)
	buf := make([]byte, int(d.mtu)+frameHead+64)
	for {
		n, err := d.file.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				d.lost(fmt.Errorf("reading the cell's network device: %w", err))
			}
			return
		}
		d.receive(buf[:n])
	}
}

// receive hands one packet to the stack. The bytes are copied.
func (d *device) receive(b []byte) {
	to := d.dispatcher.Load()
	if to == nil {
		return
	}
	if d.frames != nil {
		packet, reply, why := d.frames.take(b)
		if why != "" {
			d.dropped.add(why)
		}
		if reply != nil {
			d.file.Write(reply)
		}
		if packet == nil {
			return
		}
		b = packet
	}
	if why := d.look(b); why != "" {
		d.dropped.add(why)
		return
	}
	proto := header.IPv4ProtocolNumber
	if b[0]>>4 == 6 {
		proto = header.IPv6ProtocolNumber
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	(*to).DeliverNetworkPacket(proto, pkt)
	pkt.DecRef()
}

// WritePackets implements stack.LinkWriter. A full device is the cell's own congestion: the packet is lost as on any link.
func (d *device) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		p := d.buffers.Get().(*[]byte)
		head := 0
		if d.frames != nil {
			head = frameHead
		}
		b := (*p)[:head]
		for _, s := range pkt.AsSlices() {
			b = append(b, s...)
		}
		var err error
		if d.frames == nil || d.frames.put(b, b[head]>>4) {
			_, err = d.file.Write(b)
		}
		d.buffers.Put(p)
		if err != nil {
			if n == 0 {
				return 0, &tcpip.ErrAborted{}
			}
			break
		}
		n++
	}
	return n, nil
}

func (d *device) MTU() uint32                             { return d.mtu }
func (d *device) SetMTU(uint32)                           {}
func (d *device) MaxHeaderLength() uint16                 { return 0 }
func (d *device) LinkAddress() tcpip.LinkAddress          { return "" }
func (d *device) SetLinkAddress(tcpip.LinkAddress)        {}
func (d *device) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (d *device) AddHeader(*stack.PacketBuffer)           {}
func (d *device) ParseHeader(*stack.PacketBuffer) bool    { return true }

// Capabilities implements stack.LinkEndpoint. Checksums are computed and checked: a cell may write what it likes.
func (d *device) Capabilities() stack.LinkEndpointCapabilities { return 0 }

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
