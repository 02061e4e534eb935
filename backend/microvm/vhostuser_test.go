//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
)

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

const headerAt, statusAt, readAt = dataAt, dataAt + 0x100, dataAt + 0x200

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
