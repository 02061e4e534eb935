//go:build linux && (amd64 || arm64)

package microvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// serveNBD serves one read-only block device to one client: the fixed newstyle handshake and simple replies of the NBD protocol
// (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md). The client is the monitor, which a guest may have taken over:
// every length is bounded. It returns when the client is gone.
func serveNBD(conn net.Conn, device io.ReaderAt, size int64) error {
	defer conn.Close()
	s := &nbdServer{conn: conn, device: device, size: size}
	if err := s.negotiate(); err != nil {
		return fmt.Errorf("serving a block device: %w", err)
	}
	return s.serve()
}

// Numbers of the protocol.
const (
	nbdMagic      = 0x4e42444d41474943 // "NBDMAGIC"
	nbdHaveOption = 0x49484156454F5054 // "IHAVEOPT"
	nbdReply      = 0x3e889045565a9
	nbdRequest    = 0x25609513
	nbdSimple     = 0x67446698

	nbdFixed, nbdNoZeroes = 1, 2

	nbdOptAbort, nbdOptInfo, nbdOptGo = 2, 6, 7

	nbdAck, nbdInfo  = 1, 3
	nbdUnsupported   = 1<<31 | 1
	nbdReadOnlyFlags = 1 | 2 // has flags, read-only

	nbdRead, nbdDisconnect, nbdFlush = 0, 2, 3

	maxNBDOption  = 4096
	maxNBDOptions = 32
	maxNBDRead    = 32 << 20 // what clients may ask without negotiation
	nbdPiece      = 256 << 10
)

type nbdServer struct {
	conn   io.ReadWriter
	device io.ReaderAt
	size   int64
	buf    []byte
}

func (s *nbdServer) negotiate() error {
	hello := binary.BigEndian.AppendUint64(nil, nbdMagic)
	hello = binary.BigEndian.AppendUint64(hello, nbdHaveOption)
	hello = binary.BigEndian.AppendUint16(hello, nbdFixed|nbdNoZeroes)
	if _, err := s.conn.Write(hello); err != nil {
		return err
	}
	var flags [4]byte
	if _, err := io.ReadFull(s.conn, flags[:]); err != nil {
		return err
	}
	if f := binary.BigEndian.Uint32(flags[:]); f&nbdFixed == 0 || f&nbdNoZeroes == 0 {
		return fmt.Errorf("a client with flags %#x", f)
	}
	for range maxNBDOptions {
		var head [16]byte
		if _, err := io.ReadFull(s.conn, head[:]); err != nil {
			return err
		}
		option, n := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
		if binary.BigEndian.Uint64(head[:]) != nbdHaveOption || n > maxNBDOption {
			return errors.New("a client that does not speak the protocol")
		}
		if _, err := io.CopyN(io.Discard, s.conn, int64(n)); err != nil {
			return err
		}
		switch option {
		case nbdOptAbort:
			s.reply(option, nbdAck, nil)
			return io.EOF
		case nbdOptInfo, nbdOptGo:
			export := binary.BigEndian.AppendUint16(nil, 0) // NBD_INFO_EXPORT
			export = binary.BigEndian.AppendUint64(export, uint64(s.size))
			export = binary.BigEndian.AppendUint16(export, nbdReadOnlyFlags)
			if err := errors.Join(s.reply(option, nbdInfo, export), s.reply(option, nbdAck, nil)); err != nil || option == nbdOptGo {
				return err
			}
		default:
			if err := s.reply(option, nbdUnsupported, nil); err != nil {
				return err
			}
		}
	}
	return errors.New("a client that only negotiates")
}

func (s *nbdServer) reply(option, kind uint32, body []byte) error {
	b := binary.BigEndian.AppendUint64(nil, nbdReply)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	_, err := s.conn.Write(append(b, body...))
	return err
}

func (s *nbdServer) serve() error {
	for {
		var head [28]byte
		if n, err := io.ReadFull(s.conn, head[:]); err != nil {
			switch {
			case err == io.EOF || errors.Is(err, net.ErrClosed):
				return nil
			case n == 0 && errors.Is(err, os.ErrDeadlineExceeded):
				return errQuiet
			}
			return err
		}
		kind, handle := binary.BigEndian.Uint16(head[6:]), head[8:16]
		from, n := int64(binary.BigEndian.Uint64(head[16:])), int64(binary.BigEndian.Uint32(head[24:]))
		if binary.BigEndian.Uint32(head[:]) != nbdRequest {
			return errors.New("serving a block device: a client that does not speak the protocol")
		}
		var err error
		switch {
		case kind == nbdDisconnect:
			return nil
		case kind == nbdFlush:
			err = s.answer(handle, 0)
		case kind != nbdRead:
			return fmt.Errorf("serving a block device: a request of type %d to a device that can only be read", kind)
		case n > maxNBDRead || from < 0 || from > s.size-n:
			err = s.answer(handle, 22) // EINVAL
		default:
			err = s.read(handle, from, int(n))
		}
		if err != nil {
			return err
		}
	}
}

// read answers in one piece: an error can be told only before the first byte.
func (s *nbdServer) read(handle []byte, from int64, n int) error {
	if len(s.buf) < n {
		s.buf = make([]byte, max(n, nbdPiece))
	}
	if _, err := s.device.ReadAt(s.buf[:n], from); err != nil {
		return s.answer(handle, 5) // EIO
	}
	if err := s.answer(handle, 0); err != nil {
		return err
	}
	_, err := s.conn.Write(s.buf[:n])
	return err
}

func (s *nbdServer) answer(handle []byte, errno uint32) error {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 16), nbdSimple)
	b = binary.BigEndian.AppendUint32(b, errno)
	_, err := s.conn.Write(append(b, handle...))
	return err
}
