//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"cellos.io/cellos/sysabi"
)

// A frontend is what a monitor has: memory for a guest, a queue in it, and a connection to a server.
type frontend struct {
	t          *testing.T
	conn       *net.UnixConn
	memory     *os.File
	kick, call int
	next       uint16
}

func eventfd(t testing.TB) int {
	t.Helper()
	fd, err := sysabi.EventFD()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	return fd
}

func memory(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp("/dev/shm", "cellos-vhost-")
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(f.Name())
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(memorySize); err != nil {
		t.Fatal(err)
	}
	return f
}

func le(n ...uint64) []byte {
	var b []byte
	for _, x := range n {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

func le32(n ...uint32) []byte {
	var b []byte
	for _, x := range n {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func table(size uint64) []byte { return append(le32(1, 0), le(guestBase, size, userBase, 0)...) }

// connected is a frontend and the end of its server.
func connected(t *testing.T, device io.ReaderAt, size int64) (*frontend, <-chan error) {
	t.Helper()
	a, b, err := sysabi.StreamPair()
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*net.UnixConn{}
	for i, fd := range []int{a, b} {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = c.(*net.UnixConn)
	}
	f := &frontend{t: t, conn: ends[0], memory: memory(t), kick: eventfd(t), call: eventfd(t)}
	done := make(chan error, 1)
	go func() { done <- serveVhostUser(ends[1], device, size) }()
	t.Cleanup(func() { f.conn.Close() })
	return f, done
}

func (f *frontend) send(request, flags uint32, body []byte, fds ...int) {
	f.t.Helper()
	var oob []byte
	if len(fds) > 0 {
		oob = syscall.UnixRights(fds...)
	}
	if _, _, err := f.conn.WriteMsgUnix(append(le32(request, vhostVersion|flags, uint32(len(body))), body...), oob, nil); err != nil {
		f.t.Error(err)
	}
}

func (f *frontend) ask(request, flags uint32, body []byte, fds ...int) []byte {
	f.t.Helper()
	f.send(request, flags, body, fds...)
	head := make([]byte, 12)
	if _, err := io.ReadFull(f.conn, head); err != nil {
		f.t.Fatal(err)
	}
	if r, fl := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:]); r != request || fl != vhostVersion|vhostReply {
		f.t.Fatalf("the answer to %d is of %d with flags %#x", request, r, fl)
	}
	b := make([]byte, binary.LittleEndian.Uint32(head[8:]))
	if _, err := io.ReadFull(f.conn, b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// setUp does what Firecracker does when it makes the device and when the guest's driver starts it.
func (f *frontend) setUp() {
	f.t.Helper()
	f.send(vhostSetOwner, 0, nil)
	if got := binary.LittleEndian.Uint64(f.ask(vhostGetFeatures, 0, nil)); got&(virtioVersion1|vhostProtocolFeatures|blkRO) != virtioVersion1|vhostProtocolFeatures|blkRO {
		f.t.Errorf("features %#x", got)
	}
	if got := binary.LittleEndian.Uint64(f.ask(vhostGetProtocol, 0, nil)); got&vhostConfig == 0 {
		f.t.Errorf("protocol features %#x", got)
	}
	f.send(vhostSetProtocol, 0, le(vhostConfig))
	f.send(vhostSetFeatures, 0, le(virtioVersion1|vhostProtocolFeatures|blkRO|blkSegMax))
	f.send(vhostSetMemTable, 0, table(memorySize), int(f.memory.Fd()))
	f.send(vhostSetVringNum, 0, le32(0, queueSize))
	f.send(vhostSetVringAddr, 0, append(le32(0, 0), le(userBase+descAt, userBase+usedAt, userBase+availAt, 0)...))
	f.send(vhostSetVringBase, 0, le32(0, 0))
	f.send(vhostSetVringCall, 0, le(0), f.call)
	f.send(vhostSetVringKick, 0, le(0), f.kick)
	f.send(vhostSetVringEnable, 0, le32(0, 1))
	f.ask(vhostGetQueues, 0, nil) // everything before has been done
}

func (f *frontend) put(at int64, b []byte) {
	f.t.Helper()
	if _, err := f.memory.WriteAt(b, at); err != nil {
		f.t.Fatal(err)
	}
}

// A desc is one descriptor of a chain.
type desc struct {
	at    uint64
	len   uint32
	flags uint16
}

// submit puts chains of descriptors into the queue, and kicks.
func (f *frontend) submit(chains ...[]desc) {
	f.t.Helper()
	i := 0
	for _, c := range chains {
		head := i
		for j, d := range c {
			flags, next := d.flags, uint16(0)
			if j < len(c)-1 {
				flags, next = flags|descNext, uint16(i+1)
			}
			b := append(le(d.at), le32(d.len, uint32(flags)|uint32(next)<<16)...)
			f.put(descAt+16*int64(i), b)
			i++
		}
		f.put(availAt+4+2*int64(f.next%queueSize), binary.LittleEndian.AppendUint16(nil, uint16(head)))
		f.next++
	}
	f.put(availAt+2, binary.LittleEndian.AppendUint16(nil, f.next))
	if _, err := syscall.Write(f.kick, le(1)); err != nil {
		f.t.Fatal(err)
	}
}

// interrupted waits for the server's interrupt.
func (f *frontend) interrupted() {
	f.t.Helper()
	e := os.NewFile(uintptr(f.dup(f.call)), "call")
	defer e.Close()
	if _, err := e.Read(make([]byte, 8)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *frontend) dup(fd int) int {
	f.t.Helper()
	n, err := sysabi.DupAbove(fd, 3)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *frontend) at(at int64, n int) []byte {
	f.t.Helper()
	b := make([]byte, n)
	if _, err := f.memory.ReadAt(b, at); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// read is a request for n bytes, in pieces of two sizes.
func read(kind uint32, sector uint64, n uint32) (header []byte, chain []desc) {
	header = append(le32(kind, 0), le(sector)...)
	return header, []desc{{guestBase + headerAt, 16, 0}, {guestBase + readAt, 100, descWrite}, {guestBase + readAt + 100, n - 100, descWrite}, {guestBase + statusAt, 1, descWrite}}
}

// queue is the server's side of the queue, without a connection.
func (f *frontend) queue() *vring {
	return &vring{memory: guestMemory{{guestBase, memorySize, userBase, 0, f.memory}}, num: queueSize, desc: userBase + descAt, avail: userBase + availAt, used: userBase + usedAt,
		call: -1, device: bytes.NewReader(make([]byte, 8192)), size: 8192}
}
