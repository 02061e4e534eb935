//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
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

// Where things are in the guest's memory, which the monitor has at userBase.
const (
	userBase               = 0x7f00_0000_0000
	guestBase              = 0x10_0000
	descAt, availAt        = 0, 0x1000
	usedAt, dataAt         = 0x2000, 0x4000
	memorySize             = 1 << 20
	queueSize              = 8
	outOfMemory     uint64 = guestBase + memorySize
)

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

const headerAt, statusAt, readAt = dataAt, dataAt + 0x100, dataAt + 0x200

// read is a request for n bytes, in pieces of two sizes.
func read(kind uint32, sector uint64, n uint32) (header []byte, chain []desc) {
	header = append(le32(kind, 0), le(sector)...)
	return header, []desc{{guestBase + headerAt, 16, 0}, {guestBase + readAt, 100, descWrite}, {guestBase + readAt + 100, n - 100, descWrite}, {guestBase + statusAt, 1, descWrite}}
}

// A monitor reads a device through the queue, asks for its size and name, and takes it up again where it was.
func TestVhostUser(t *testing.T) {
	device := make([]byte, 64<<10)
	for i := range device {
		device[i] = byte(i / 7)
	}
	f, done := connected(t, bytes.NewReader(device), int64(len(device)))
	f.setUp()
	config := f.ask(vhostGetConfig, 0, append(le32(0, 60, 0), make([]byte, 60)...))[12:]
	if len(config) != 60 || binary.LittleEndian.Uint64(config) != 128 {
		t.Errorf("the configuration is %v", config)
	}
	header, chain := read(blkIn, 3, 4096)
	f.put(headerAt, header)
	f.submit(chain)
	f.interrupted()
	if got := f.at(readAt, 4096); !bytes.Equal(got, device[3*512:][:4096]) || f.at(statusAt, 1)[0] != blkOK {
		t.Errorf("it reads something else, status %d", f.at(statusAt, 1)[0])
	}
	if used := f.at(usedAt, 12); !bytes.Equal(used[2:], append([]byte{1, 0}, le32(0, 4097)...)) {
		t.Errorf("used: %v", used)
	}
	for name, c := range map[string]struct {
		kind   uint32
		sector uint64
		status byte
	}{"its name": {blkGetID, 0, blkOK}, "a write": {1, 0, blkError}, "another request": {11, 0, blkUnsupp}, "beyond the end": {blkIn, 127, blkError}, "far beyond": {blkIn, 1 << 62, blkError}} {
		header, chain := read(c.kind, c.sector, 4096)
		f.put(headerAt, header)
		f.put(statusAt, []byte{0xff})
		f.submit(chain)
		f.interrupted()
		if got := f.at(statusAt, 1)[0]; got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
		if c.kind == blkGetID && strings.TrimRight(string(f.at(readAt, 20)), "\x00") != blkSerial {
			t.Errorf("it is called %q", f.at(readAt, 20))
		}
	}
	if got := f.ask(vhostGetVringBase, 0, le32(0, 0)); binary.LittleEndian.Uint32(got[4:]) != 6 {
		t.Errorf("it would go on at %v", got)
	}
	f.conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A guest that builds its queue wrongly gets no answer, and nothing of the host's.
func TestVhostUserHostileQueue(t *testing.T) {
	good := desc{guestBase + headerAt, 16, 0}
	status := desc{guestBase + statusAt, 1, descWrite}
	waiting := func(f *frontend, n uint16) { f.put(availAt+2, binary.LittleEndian.AppendUint16(nil, n)) }
	for name, prepare := range map[string]func(*frontend){
		"a header outside":   func(f *frontend) { f.submit([]desc{{outOfMemory, 16, 0}, status}) },
		"a status outside":   func(f *frontend) { f.submit([]desc{good, {outOfMemory - 1, 2, descWrite}}) },
		"at the very end":    func(f *frontend) { f.submit([]desc{{^uint64(0) - 4, 16, 0}, status}) },
		"a short header":     func(f *frontend) { f.submit([]desc{{guestBase + headerAt, 15, 0}, status}) },
		"no status":          func(f *frontend) { f.submit([]desc{good}) },
		"an empty status":    func(f *frontend) { f.submit([]desc{good, {guestBase + statusAt, 0, descWrite}}) },
		"wrong order":        func(f *frontend) { f.submit([]desc{status, good}) },
		"a loop":             func(f *frontend) { f.put(descAt, append(le(good.at), le32(16, descNext)...)); waiting(f, 1) },
		"no such descriptor": func(f *frontend) { f.put(availAt+4, []byte{0xff, 0xff}); waiting(f, 1) },
		"too many at once":   func(f *frontend) { waiting(f, 0x8000) },
		"memory that is gone": func(f *frontend) {
			f.submit([]desc{good, status})
			if err := f.memory.Truncate(statusAt); err != nil {
				f.t.Fatal(err)
			}
		},
	} {
		f := &frontend{t: t, memory: memory(t), kick: eventfd(t)}
		prepare(f)
		if err := f.queue().work(); err == nil {
			t.Errorf("%s: it is served", name)
		}
		if used := f.at(usedAt, 4); used[2] != 0 {
			t.Errorf("%s: it answered: %v", name, used)
		}
	}
}

// queue is the server's side of the queue, without a connection.
func (f *frontend) queue() *vring {
	return &vring{memory: guestMemory{{guestBase, memorySize, userBase, 0, f.memory}}, num: queueSize, desc: userBase + descAt, avail: userBase + availAt, used: userBase + usedAt,
		call: -1, device: bytes.NewReader(make([]byte, 8192)), size: 8192}
}

// A monitor that does not keep to the protocol is gone.
func TestVhostUserRefuses(t *testing.T) {
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	disk, err := os.CreateTemp("/var/tmp", "cellos-vhost-")
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	defer os.Remove(disk.Name())
	for name, say := range map[string]func(*frontend){
		"an unknown message":    func(f *frontend) { f.send(99, 0, nil) },
		"another version":       func(f *frontend) { f.conn.Write(le32(1, 2, 0)) },
		"a long message":        func(f *frontend) { f.conn.Write(le32(1, 1, 1<<31)) },
		"a short message":       func(f *frontend) { f.send(vhostSetVringNum, 0, le32(0)) },
		"half a message":        func(f *frontend) { f.conn.Write(le32(8, 1, 8)); f.conn.CloseWrite() },
		"another queue":         func(f *frontend) { f.send(vhostSetVringNum, 0, le32(1, 8)) },
		"a queue of 3":          func(f *frontend) { f.send(vhostSetVringNum, 0, le32(0, 3)) },
		"a queue of 65536":      func(f *frontend) { f.send(vhostSetVringNum, 0, le32(0, 1<<16)) },
		"unknown features":      func(f *frontend) { f.send(vhostSetFeatures, 0, le(1<<63)) },
		"a table without files": func(f *frontend) { f.send(vhostSetMemTable, 0, table(memorySize)) },
		"an empty table":        func(f *frontend) { f.send(vhostSetMemTable, 0, le32(0, 0)) },
		"memory around the end": func(f *frontend) { f.send(vhostSetMemTable, 0, table(^uint64(0)), int(f.memory.Fd())) },
		"memory in a pipe":      func(f *frontend) { f.send(vhostSetMemTable, 0, table(memorySize), int(pipe.Fd())) },
		"memory on a disk":      func(f *frontend) { f.send(vhostSetMemTable, 0, table(memorySize), int(disk.Fd())) },
		"a kick that is a pipe": func(f *frontend) { f.send(vhostSetVringKick, 0, le(0), int(pipe.Fd())) },
		"a call that is a pipe": func(f *frontend) { f.send(vhostSetVringCall, 0, le(0), int(other.Fd())) },
		"no kick":               func(f *frontend) { f.send(vhostSetVringKick, 0, le(0x100)) },
		"two kicks":             func(f *frontend) { f.send(vhostSetVringKick, 0, le(0), f.kick, f.call) },
		"too many files": func(f *frontend) {
			f.send(vhostSetOwner, 0, nil, f.kick, f.kick, f.kick, f.kick, f.kick, f.kick, f.kick, f.kick, f.kick, f.kick)
		},
		"configuration far away": func(f *frontend) { f.send(vhostGetConfig, 0, append(le32(1<<31, 4, 0), 0, 0, 0, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			f, done := connected(t, bytes.NewReader(nil), 0)
			say(f)
			if err := <-done; err == nil {
				t.Error("it is served")
			}
			f.conn.Close()
			f.memory.Close()
			if now := descriptors(t); now > before+2 { // kick and call of the test
				t.Errorf("%d descriptors are left open", now-before-2)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// FuzzVhostUser: whatever the guest writes into its memory, working on the queue ends, and writes nothing outside.
func FuzzVhostUser(f *testing.F) {
	header, _ := read(blkIn, 0, 4096)
	f.Add([]byte{0, 0, 1, 0, 0, 0}, append(append(le(guestBase+headerAt), le32(16, descNext|1<<16)...), append(le(guestBase+statusAt), le32(1, descWrite)...)...), header)
	f.Fuzz(func(t *testing.T, avail, descs, header []byte) {
		m := memory(t)
		for at, b := range map[int64][]byte{descAt: descs[:min(len(descs), 0x1000)], availAt: avail[:min(len(avail), 0x1000)], headerAt: header[:min(len(header), 0x100)]} {
			if _, err := m.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		(&frontend{memory: m}).queue().work() // a mistake is the guest's
		if fi, err := m.Stat(); err != nil || fi.Size() != memorySize {
			t.Errorf("the memory has grown: %v, %v", fi, err)
		}
	})
}
