//go:build linux && (amd64 || arm64)

package microvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"cellos.io/cellos/sysabi"
)

// serveVhostUser serves one read-only block device with one queue to one client, the monitor, by the vhost-user protocol
// (https://www.qemu.org/docs/master/interop/vhost-user.html). It returns when the client is gone.
//
// The client hands over the guest's memory. It is never mapped, only read and written as a file at checked places, so that neither a
// monitor that shrinks it nor a guest that changes it under our hands does more than make its own requests fail.
func serveVhostUser(conn *net.UnixConn, device io.ReaderAt, size int64) error {
	defer conn.Close()
	s := &vhostServer{ring: vring{device: device, size: size, call: -1}}
	defer s.close()
	for {
		head, files, err := readVhost(conn)
		if err != nil {
			closeFDs(files)
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("serving a block device: %w", err)
		}
		body := make([]byte, head.size)
		if _, err := io.ReadFull(conn, body); err != nil {
			closeFDs(files)
			return fmt.Errorf("serving a block device: %w", err)
		}
		answer, err := s.message(head.request, body, files)
		if err != nil {
			return fmt.Errorf("serving a block device: message %d: %w", head.request, err)
		}
		if answer == nil && head.flags&vhostNeedReply != 0 {
			answer = make([]byte, 8) // success
		}
		if answer != nil {
			b := binary.LittleEndian.AppendUint32(nil, head.request)
			b = binary.LittleEndian.AppendUint32(b, vhostVersion|vhostReply)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(answer)))
			if _, err := conn.Write(append(b, answer...)); err != nil {
				return fmt.Errorf("serving a block device: %w", err)
			}
		}
	}
}

// Numbers of the protocol and of virtio.
const (
	vhostVersion, vhostReply, vhostNeedReply = 1, 4, 8

	vhostGetFeatures, vhostSetFeatures, vhostSetOwner, vhostResetOwner, vhostSetMemTable = 1, 2, 3, 4, 5
	vhostSetVringNum, vhostSetVringAddr, vhostSetVringBase, vhostGetVringBase            = 8, 9, 10, 11
	vhostSetVringKick, vhostSetVringCall, vhostSetVringErr                               = 12, 13, 14
	vhostGetProtocol, vhostSetProtocol, vhostGetQueues, vhostSetVringEnable              = 15, 16, 17, 18
	vhostGetConfig                                                                       = 24

	vhostProtocolFeatures = 1 << 30 // VHOST_USER_F_PROTOCOL_FEATURES
	vhostConfig           = 1 << 9  // VHOST_USER_PROTOCOL_F_CONFIG
	virtioVersion1        = 1 << 32
	blkSegMax, blkRO      = 1 << 2, 1 << 5
	vhostFeatures         = virtioVersion1 | vhostProtocolFeatures | blkSegMax | blkRO

	blkConfigSize = 60
	blkSegments   = 126 // of one request

	maxVhostBody  = 4096
	maxVhostFiles = 8 // VHOST_MEMORY_BASELINE_NREGIONS
)

type vhostHead struct{ request, flags, size uint32 }

// readVhost reads a message's header with the descriptors that come with it.
func readVhost(conn *net.UnixConn) (h vhostHead, files []int, err error) {
	var b [12]byte
	files, err = readWithFiles(conn, b[:], 4*maxVhostFiles)
	if err != nil {
		return h, files, err
	}
	h = vhostHead{binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
	if h.flags&3 != vhostVersion || h.flags&vhostReply != 0 || h.size > maxVhostBody {
		return h, files, errors.New("a client that does not speak the protocol")
	}
	return h, files, nil
}

// A vhostServer is what one client has set up.
type vhostServer struct {
	mu       sync.Mutex // of the ring
	ring     vring
	kick     *os.File
	done     chan struct{} // closed when nobody waits for the kick any more
	features uint64
}

// message does what one message says, and returns the answer, nil where there is none. It owns the files.
func (s *vhostServer) message(request uint32, b []byte, files []int) (answer []byte, err error) {
	defer func() { closeFDs(files) }() // those that are not kept
	if want, fixed := map[uint32]int{vhostSetFeatures: 8, vhostSetVringNum: 8, vhostSetVringAddr: 40, vhostSetVringBase: 8, vhostGetVringBase: 8,
		vhostSetVringKick: 8, vhostSetVringCall: 8, vhostSetVringErr: 8, vhostSetProtocol: 8, vhostSetVringEnable: 8}[request]; fixed && len(b) != want {
		return nil, fmt.Errorf("%d bytes instead of %d", len(b), want)
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }
	u64 := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	number := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	switch request {
	case vhostSetVringNum, vhostSetVringAddr, vhostSetVringBase, vhostGetVringBase, vhostSetVringEnable:
		if u32(0) != 0 {
			return nil, fmt.Errorf("queue %d of one", u32(0))
		}
	case vhostSetVringKick, vhostSetVringCall, vhostSetVringErr:
		if b[0] != 0 || b[1] == 0 && len(files) != 1 {
			return nil, fmt.Errorf("queue %d of one, %d descriptors", b[0], len(files))
		}
	}
	if request == vhostSetMemTable || request == vhostSetVringKick || request == vhostGetVringBase || request == vhostResetOwner {
		s.stop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch request {
	case vhostSetOwner, vhostSetVringErr, vhostSetProtocol, vhostSetVringEnable, vhostResetOwner:
	case vhostGetFeatures:
		return number(vhostFeatures), nil
	case vhostSetFeatures:
		if s.features = u64(0); s.features&^vhostFeatures != 0 {
			return nil, fmt.Errorf("features %#x", s.features)
		}
	case vhostGetProtocol:
		return number(vhostConfig), nil
	case vhostGetQueues:
		return number(1), nil
	case vhostGetConfig:
		return s.config(b)
	case vhostSetMemTable:
		m, err := newGuestMemory(b, files)
		if err != nil {
			return nil, err
		}
		s.ring.memory.close()
		s.ring.memory, files = m, nil
	case vhostSetVringNum:
		n := u32(1)
		if n == 0 || n > maxQueue || n&(n-1) != 0 {
			return nil, fmt.Errorf("a queue of %d", n)
		}
		s.ring.num = n
	case vhostSetVringAddr:
		s.ring.desc, s.ring.used, s.ring.avail = u64(1), u64(2), u64(3)
	case vhostSetVringBase:
		s.ring.next = uint16(u32(1))
	case vhostGetVringBase:
		return binary.LittleEndian.AppendUint32(make([]byte, 4, 8), uint32(s.ring.next)), nil
	case vhostSetVringCall:
		s.ring.mute()
		if len(files) == 1 {
			if err := eventDescriptor(files[0]); err != nil {
				return nil, err
			}
			s.ring.call, files = files[0], nil
		}
	case vhostSetVringKick:
		if len(files) != 1 {
			return nil, errors.New("a queue without kicks")
		}
		if err := eventDescriptor(files[0]); err != nil {
			return nil, err
		}
		s.start(files[0])
		files = nil
	default:
		return nil, errors.New("it is not known")
	}
	return nil, nil
}

// config answers with a part of the device's configuration: struct virtio_blk_config.
func (s *vhostServer) config(b []byte) ([]byte, error) {
	if len(b) < 12 {
		return nil, errors.New("a short question")
	}
	offset, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if offset > maxVhostBody || size > maxVhostBody || int(size) != len(b)-12 {
		return nil, fmt.Errorf("%d bytes of the configuration from %d on", size, offset)
	}
	var c [2 * maxVhostBody]byte // what is behind the structure is zero
	binary.LittleEndian.PutUint64(c[:], uint64(s.ring.size)/512)
	binary.LittleEndian.PutUint32(c[12:], blkSegments)
	binary.LittleEndian.PutUint32(c[20:], 512)
	clear(c[blkConfigSize:])
	return append(append([]byte{}, b[:12]...), c[offset:offset+size]...), nil
}

// eventDescriptor refuses what is no eventfd(2), because reading and writing anything else might never return, and makes it one that does
// not block.
func eventDescriptor(fd int) error {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return err
	}
	if name != "anon_inode:[eventfd]" {
		return errors.New("a descriptor that is no eventfd")
	}
	return sysabi.SetNonblock(fd, true)
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// start works on the queue whenever it is kicked. The lock is held.
func (s *vhostServer) start(kick int) {
	f := os.NewFile(uintptr(kick), "kick") // of a descriptor that does not block: waiting takes no thread
	done := make(chan struct{})
	s.kick, s.done = f, done
	go func() {
		defer close(done)
		var n [8]byte
		for {
			if _, err := f.Read(n[:]); err != nil {
				return
			}
			s.mu.Lock()
			err := s.ring.work()
			s.mu.Unlock()
			if err != nil {
				return // the guest's own fault, and its own loss
			}
		}
	}()
}

// stop ends the work on the queue.
func (s *vhostServer) stop() {
	if s.kick != nil {
		s.kick.Close()
		<-s.done
		s.kick = nil
	}
}

// close gives everything back.
func (s *vhostServer) close() {
	s.stop()
	s.ring.mute()
	s.ring.memory.close()
}
