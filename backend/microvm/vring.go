//go:build linux && (amd64 || arm64)

package microvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"cellos.io/cellos/sysabi"
)

// guestMemory is the memory of a guest: pieces of files of its monitor.
type guestMemory []memoryRegion

type memoryRegion struct {
	guest, size, user uint64 // addresses: of the guest, and of the monitor
	offset            uint64 // in the file
	file              *os.File
}

// newGuestMemory reads the table of the message SET_MEM_TABLE.
func newGuestMemory(b []byte, files []int) (guestMemory, error) {
	if len(b) < 8 {
		return nil, errors.New("a short table")
	}
	n := int(binary.LittleEndian.Uint32(b))
	if n == 0 || n > maxVhostFiles || n != len(files) || len(b) != 8+32*n {
		return nil, fmt.Errorf("a table of %d regions in %d bytes with %d descriptors", n, len(b), len(files))
	}
	var m guestMemory
	for i, fd := range files {
		if err := sysabi.InMemory(fd); err != nil {
			return nil, err
		}
		r := b[8+32*i:]
		x := memoryRegion{binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint64(r[8:]), binary.LittleEndian.Uint64(r[16:]), binary.LittleEndian.Uint64(r[24:]), nil}
		if x.guest+x.size < x.guest || x.user+x.size < x.user || x.offset+x.size < x.offset || x.offset+x.size > 1<<62 {
			return nil, errors.New("a region that is too large")
		}
		m = append(m, x)
	}
	for i, fd := range files { // which belong to the table now
		m[i].file = os.NewFile(uintptr(fd), "guest memory")
	}
	return m, nil
}

func (m guestMemory) close() {
	for _, r := range m {
		r.file.Close()
	}
}

var errNoMemory = errors.New("an address that is not in the guest's memory")

// place finds n bytes at an address of the guest, or of the monitor.
func (m guestMemory) place(user bool, at uint64, n int) (*os.File, int64, error) {
	for _, r := range m {
		start := r.guest
		if user {
			start = r.user
		}
		if at >= start && at-start <= r.size && r.size-(at-start) >= uint64(n) {
			return r.file, int64(r.offset + (at - start)), nil
		}
	}
	return nil, 0, errNoMemory
}

func (m guestMemory) read(user bool, at uint64, b []byte) error {
	f, off, err := m.place(user, at, len(b))
	if err != nil {
		return err
	}
	_, err = f.ReadAt(b, off)
	return err
}

func (m guestMemory) write(user bool, at uint64, b []byte) error {
	f, off, err := m.place(user, at, len(b))
	if err != nil {
		return err
	}
	// A write beyond the end would make the file larger; what is mapped ends where the file does.
	if fi, err := f.Stat(); err != nil || fi.Size()-off < int64(len(b)) {
		return errNoMemory
	}
	_, err = f.WriteAt(b, off)
	return err
}

// A vring is a split virtqueue of a block device (Virtual I/O Device 1.2, 2.7 and 5.2), whose driver is the guest. Each access is a system
// call on the memory's file, which orders it with the others as the specification's barriers would.
type vring struct {
	memory            guestMemory
	num               uint32
	desc, avail, used uint64 // addresses of the monitor
	next              uint16 // the next entry of avail that is to be done
	call              int    // an eventfd, -1 for none
	device            io.ReaderAt
	size              int64 // of the device
	buf               []byte
}

// mute gives the interrupt back.
func (q *vring) mute() {
	if q.call >= 0 {
		syscall.Close(q.call)
		q.call = -1
	}
}

const (
	maxQueue = 1024
	piece    = 128 << 10 // what is copied at once

	blkIn, blkGetID            = 0, 8
	blkOK, blkError, blkUnsupp = 0, 1, 2
	descNext, descWrite        = 1, 2
	blkSerial                  = "view"
)

// work does the requests that wait. An error is the guest's mistake, after which the queue is dead.
func (q *vring) work() error {
	if q.num == 0 {
		return errors.New("a queue without a size")
	}
	var b [8]byte
	did := false
	for {
		if err := q.memory.read(true, q.avail, b[:4]); err != nil {
			return err
		}
		flags, idx := binary.LittleEndian.Uint16(b[:]), binary.LittleEndian.Uint16(b[2:])
		if idx == q.next {
			if did && flags&1 == 0 && q.call >= 0 { // VIRTQ_AVAIL_F_NO_INTERRUPT
				binary.NativeEndian.PutUint64(b[:], 1)
				syscall.Write(q.call, b[:]) // a counter that is full interrupts as well
			}
			return nil
		}
		if uint32(idx-q.next) > q.num {
			return errors.New("more requests than the queue has room for")
		}
		for ; q.next != idx; q.next++ {
			if err := q.memory.read(true, q.avail+4+2*uint64(uint32(q.next)%q.num), b[:2]); err != nil {
				return err
			}
			head := binary.LittleEndian.Uint16(b[:])
			n, err := q.request(head)
			if err != nil {
				return err
			}
			binary.LittleEndian.PutUint32(b[:], uint32(head))
			binary.LittleEndian.PutUint32(b[4:], n)
			if err := q.memory.write(true, q.used+4+8*uint64(uint32(q.next)%q.num), b[:]); err != nil {
				return err
			}
			binary.LittleEndian.PutUint16(b[:], q.next+1)
			if err := q.memory.write(true, q.used+2, b[:2]); err != nil {
				return err
			}
			did = true
		}
	}
}

// A span is a piece of the guest's memory.
type span struct {
	at  uint64
	len uint32
}

// chain reads the descriptors of one request: first those that the device reads, then those that it writes.
func (q *vring) chain(head uint16) (in, out []span, err error) {
	i := uint32(head)
	for range q.num {
		if i >= q.num {
			return nil, nil, errors.New("a descriptor that the queue does not have")
		}
		var d [16]byte
		if err := q.memory.read(true, q.desc+16*uint64(i), d[:]); err != nil {
			return nil, nil, err
		}
		s := span{binary.LittleEndian.Uint64(d[:]), binary.LittleEndian.Uint32(d[8:])}
		flags := binary.LittleEndian.Uint16(d[12:])
		switch {
		case flags&descWrite != 0:
			out = append(out, s)
		case len(out) > 0:
			return nil, nil, errors.New("descriptors in the wrong order")
		default:
			in = append(in, s)
		}
		if flags&descNext == 0 {
			return in, out, nil
		}
		i = uint32(binary.LittleEndian.Uint16(d[14:]))
	}
	return nil, nil, errors.New("a chain of descriptors without end")
}

// request does one request, and returns how many bytes it wrote.
func (q *vring) request(head uint16) (uint32, error) {
	in, out, err := q.chain(head)
	if err != nil {
		return 0, err
	}
	if len(in) == 0 || in[0].len < 16 || len(out) == 0 || out[len(out)-1].len == 0 {
		return 0, errors.New("a request without a header or a place for its status")
	}
	var h [16]byte
	if err := q.memory.read(false, in[0].at, h[:]); err != nil {
		return 0, err
	}
	last := &out[len(out)-1]
	last.len--
	statusAt := last.at + uint64(last.len)
	status, written := byte(blkUnsupp), uint32(0)
	switch sector := binary.LittleEndian.Uint64(h[8:]); binary.LittleEndian.Uint32(h[:]) {
	case blkIn:
		status, written = q.copy(sector, out)
	case blkGetID:
		id := make([]byte, 20)
		copy(id, blkSerial)
		id = id[:min(len(id), int(out[0].len))]
		if status, written = blkOK, uint32(len(id)); q.memory.write(false, out[0].at, id) != nil {
			status, written = blkError, 0
		}
	case 1: // VIRTIO_BLK_T_OUT
		status = blkError
	}
	return written + 1, q.memory.write(false, statusAt, []byte{status})
}

// copy reads the device into the guest's memory.
func (q *vring) copy(sector uint64, out []span) (status byte, written uint32) {
	if sector > uint64(q.size)/512 {
		return blkError, 0
	}
	at := int64(sector) * 512
	if q.buf == nil {
		q.buf = make([]byte, piece)
	}
	for _, s := range out {
		for s.len > 0 {
			b := q.buf[:min(uint32(piece), s.len)]
			if at > q.size-int64(len(b)) {
				return blkError, written
			}
			if _, err := q.device.ReadAt(b, at); err != nil {
				return blkError, written
			}
			if q.memory.write(false, s.at, b) != nil {
				return blkError, written
			}
			n := uint32(len(b))
			s.at, s.len = s.at+uint64(n), s.len-n
			at, written = at+int64(n), written+n
		}
	}
	return blkOK, written
}
