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

// A device is the gate's end of the cell's link: one IP packet a read and a write (TUN), or one Ethernet frame (TAP).
type device struct {
	file     *os.File
	mtu      uint32
	ethernet bool
	look     func([]byte) string // why an IP packet is dropped
	lost     func(error)

	dispatcher atomic.Pointer[stack.NetworkDispatcher]
	dropped    counters
	buffers    sync.Pool
	done       chan struct{}
}

var _ stack.LinkEndpoint = (*device)(nil)

func newDevice(f *os.File, mtu int, ethernet bool, look func([]byte) string, lost func(error)) *device {
	d := &device{file: f, mtu: uint32(mtu), ethernet: ethernet, look: look, lost: lost, done: make(chan struct{})}
	d.buffers.New = func() any { b := make([]byte, mtu+header.EthernetMinimumSize); return &b }
	return d
}

// serve reads packets until the device is gone: the cell ended, or Close was called.
func (d *device) serve() {
	defer close(d.done)
	buf := make([]byte, int(d.mtu)+header.EthernetMinimumSize+64)
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
	proto := tcpip.NetworkProtocolNumber(0)
	ip := b
	if d.ethernet {
		if len(b) < header.EthernetMinimumSize {
			d.dropped.add(dropTruncated)
			return
		}
		if proto = header.Ethernet(b).Type(); proto == header.ARPProtocolNumber {
			ip = nil
		} else {
			ip = b[header.EthernetMinimumSize:]
		}
	}
	if ip != nil {
		if why := d.look(ip); why != "" {
			d.dropped.add(why)
			return
		}
		proto = header.IPv4ProtocolNumber
		if ip[0]>>4 == 6 {
			proto = header.IPv6ProtocolNumber
		}
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	if d.ethernet && !d.ParseHeader(pkt) {
		pkt.DecRef()
		return
	}
	(*to).DeliverNetworkPacket(proto, pkt)
	pkt.DecRef()
}

// WritePackets implements stack.LinkWriter. A full device is the cell's own congestion: the packet is lost as on any link.
func (d *device) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		p := d.buffers.Get().(*[]byte)
		b := (*p)[:0]
		for _, s := range pkt.AsSlices() {
			b = append(b, s...)
		}
		_, err := d.file.Write(b)
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

func (d *device) MTU() uint32   { return d.mtu }
func (d *device) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (d *device) MaxHeaderLength() uint16 {
	if d.ethernet {
		return header.EthernetMinimumSize
	}
	return 0
}

// gateMAC is the gate's address on Ethernet links: locally administered, RFC 7042 section 2.1.
const gateMAC = tcpip.LinkAddress("\x02\xce\x11\x05\x00\x02")

func (d *device) LinkAddress() tcpip.LinkAddress {
	if d.ethernet {
		return gateMAC
	}
	return ""
}
func (d *device) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint. Checksums are computed and checked: a cell may write what it likes.
func (d *device) Capabilities() stack.LinkEndpointCapabilities {
	if d.ethernet {
		return stack.CapabilityResolutionRequired
	}
	return 0
}

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

// ARPHardwareType implements stack.LinkEndpoint.
func (d *device) ARPHardwareType() header.ARPHardwareType {
	if d.ethernet {
		return header.ARPHardwareEther
	}
	return header.ARPHardwareNone
}

// AddHeader implements stack.LinkEndpoint.
func (d *device) AddHeader(pkt *stack.PacketBuffer) {
	if d.ethernet {
		header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
			SrcAddr: gateMAC, DstAddr: pkt.EgressRoute.RemoteLinkAddress, Type: pkt.NetworkProtocolNumber,
		})
	}
}

// ParseHeader implements stack.LinkEndpoint.
func (d *device) ParseHeader(pkt *stack.PacketBuffer) bool {
	if d.ethernet {
		_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
		return ok
	}
	return true
}
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
