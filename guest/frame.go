package guest

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Protocol is the version that both sides of this package speak. Another one is an error: host and guest come from one build.
const Protocol = 8

// Bounds of a frame.
const (
	MaxFrame = 1 << 20  // bytes after the length; the type is one of them
	MaxData  = 64 << 10 // bytes of a stream in one frame
	MaxText  = 4 << 10  // bytes of a text that the guest says
	MaxPath  = 4 << 10  // bytes of a path (PATH_MAX)

	MaxPacket = 10 + 65535 // bytes of an IP packet, and of what its link says of it (struct virtio_net_hdr)
)

// A Type says what a frame is. The host's are below 0x80.
type Type uint8

// The types of frames.
const (
	TypeConfig  Type = 0x01 // u8 last, part of a Config (Frames)
	TypeSecret  Type = 0x02 // u16 length of the name, the name, the value
	TypeRelease Type = 0x03 // empty
	TypeSignal  Type = 0x04 // u8 number, u8 1 for every process
	TypeStdin   Type = 0x05 // bytes
	TypeEOF     Type = 0x06 // empty: standard input has ended
	TypeExport  Type = 0x07 // absolute path of a file that is wanted
	TypeAck     Type = 0x08 // empty: nothing more is wanted
	TypeResize  Type = 0x09 // u16 rows, u16 columns
	TypeClosed  Type = 0x0a // u8 TypeStdout or TypeStderr: nobody reads that output any more
	TypePing    Type = 0x0b // empty: the guest answers PONG
	TypeTaken   Type = 0x0c // u8 TypeStdout or TypeStderr, u32 bytes of it that were passed on
	TypeArrive  Type = 0x0d // an IP packet for the cell
	TypeAnswer  Type = 0x0f // u32 number of the ASK, u8 last, part of the answer; nothing at all: there is none
	TypePrepare Type = 0x10 // u8 last, part of a Config that is rehearsed

	TypeHello    Type = 0x81 // JSON Hello
	TypeReady    Type = 0x82 // JSON Ready
	TypeStarted  Type = 0x83 // u32 process id in the cell
	TypeStdout   Type = 0x84 // bytes
	TypeStderr   Type = 0x85 // bytes
	TypeExit     Type = 0x86 // an Exit in binary
	TypeChanges  Type = 0x87 // u8 last, part of a tar stream
	TypeError    Type = 0x88 // JSON Problem
	TypeCredit   Type = 0x89 // u32 bytes of standard input that were taken
	TypeFailed   Type = 0x8a // JSON Failed
	TypeFile     Type = 0x8b // JSON File
	TypeData     Type = 0x8c // u8 last, part of the file
	TypePong     Type = 0x8d // empty
	TypeLeave    Type = 0x8e // an IP packet of the cell
	TypeRefused  Type = 0x90 // a Refused in binary
	TypeAsk      Type = 0x8f // u32 number, a request for a secret: a line without its end
	TypePrepared Type = 0x91 // JSON Prepared
)

// String names the type as docs/guest.md does.
func (t Type) String() string {
	for _, x := range []struct {
		t    Type
		name string
	}{{TypeConfig, "CONFIG"}, {TypeSecret, "SECRET"}, {TypeExport, "EXPORT"}, {TypePing, "PING"}, {TypeTaken, "TAKEN"}, {TypeArrive, "ARRIVE"}, {TypeAnswer, "ANSWER"}, {TypeRelease, "RELEASE"}, {TypeSignal, "SIGNAL"}, {TypeStdin, "STDIN"}, {TypeEOF, "EOF"}, {TypeAck, "ACK"}, {TypeResize, "RESIZE"}, {TypeClosed, "CLOSED"},
		{TypeHello, "HELLO"}, {TypeReady, "READY"}, {TypeStarted, "STARTED"}, {TypeStdout, "STDOUT"}, {TypeStderr, "STDERR"}, {TypeExit, "EXIT"},
		{TypeChanges, "CHANGES"}, {TypeError, "ERROR"}, {TypeCredit, "CREDIT"}, {TypeFailed, "FAILED"},
		{TypeFile, "FILE"}, {TypeData, "DATA"}, {TypePong, "PONG"}, {TypeLeave, "LEAVE"}, {TypeAsk, "ASK"}, {TypeRefused, "REFUSED"}, {TypePrepare, "PREPARE"}, {TypePrepared, "PREPARED"}} {
		if x.t == t {
			return x.name
		}
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// A ProtocolError says how the other side broke the protocol.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return "the guest broke the protocol: " + e.Text }

func broken(format string, a ...any) error { return &ProtocolError{fmt.Sprintf(format, a...)} }

// A Reader reads frames. It holds one buffer, which grows to the largest frame that came, at most MaxFrame, and only as bytes arrive:
// a length alone makes it allocate nothing.
type Reader struct {
	r    io.Reader
	head [5]byte
	buf  []byte
}

// NewReader returns a Reader. It reads no byte beyond the frame that was asked for.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// step is how much memory a frame gets before its bytes are there.
const step = 64 << 10

// Next returns the next frame. The body is valid until the next call. The error is io.EOF between frames, a *ProtocolError for a length
// out of bounds, and io.ErrUnexpectedEOF in a frame.
func (r *Reader) Next() (Type, []byte, error) {
	if _, err := io.ReadFull(r.r, r.head[:4]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(r.head[:4])
	if n < 1 || n > MaxFrame {
		return 0, nil, broken("a frame of %d bytes; 1 to %d are possible", n, MaxFrame)
	}
	if _, err := io.ReadFull(r.r, r.head[4:]); err != nil {
		return 0, nil, unexpected(err)
	}
	body := int(n) - 1
	for at := 0; at < body; {
		end := min(body, at+step)
		if end > len(r.buf) {
			r.buf = append(r.buf[:at:at], make([]byte, end-at)...)
		}
		if _, err := io.ReadFull(r.r, r.buf[at:end]); err != nil {
			return 0, nil, unexpected(err)
		}
		at = end
	}
	return Type(r.head[4]), r.buf[:body], nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Append appends a frame to dst. The parts together are the body, at most MaxFrame-1 bytes.
func Append(dst []byte, t Type, parts ...[]byte) []byte {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	if n > MaxFrame {
		panic("guest: a frame beyond MaxFrame") // every caller bounds what it sends
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, byte(t))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}
