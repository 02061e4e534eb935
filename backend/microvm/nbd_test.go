//go:build linux && (amd64 || arm64)

package microvm

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// A client is a byte stream, and what the server says.
type client struct {
	io.Reader
	bytes.Buffer
}

func (c *client) Read(b []byte) (int, error) { return c.Reader.Read(b) }

func request(kind uint16, from uint64, n uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, nbdRequest)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(b, "handle!!"...)
	b = binary.BigEndian.AppendUint64(b, from)
	return binary.BigEndian.AppendUint32(b, n)
}

func option(n uint32, body string) []byte {
	b := binary.BigEndian.AppendUint64(nil, nbdHaveOption)
	b = binary.BigEndian.AppendUint32(b, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

var greeting = []byte{0, 0, 0, 3}

func TestNBD(t *testing.T) {
	device := bytes.NewReader([]byte("0123456789abcdef"))
	talk := bytes.Join([][]byte{greeting, option(8, ""), option(nbdOptGo, "\x00\x00\x00\x00\x00\x00"), request(nbdRead, 4, 3), request(nbdRead, 14, 3), request(nbdDisconnect, 0, 0)}, nil)
	c := &client{Reader: bytes.NewReader(talk)}
	s := &nbdServer{conn: c, device: device, size: 16}
	if err := s.negotiate(); err != nil {
		t.Fatal(err)
	}
	if err := s.serve(); err != nil {
		t.Fatal(err)
	}
	good := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, nbdSimple), 0), "handle!!456"...)
	bad := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, nbdSimple), 22), "handle!!"...)
	if !bytes.HasSuffix(c.Bytes(), append(good, bad...)) {
		t.Errorf("it answers %q", c.Bytes())
	}
}

// A client that wants to write, or lies about lengths, is gone.
func TestNBDRefuses(t *testing.T) {
	for name, talk := range map[string][]byte{
		"a write":        append(append(greeting, option(nbdOptGo, "")...), request(1, 0, 1)...),
		"a large option": append(append([]byte{}, greeting...), append(option(nbdOptGo, "")[:12], 0xff, 0xff, 0xff, 0xff)...),
		"old style":      {0, 0, 0, 0},
		"garbage":        append(append([]byte{}, greeting...), make([]byte, 64)...),
		"only options":   append(append([]byte{}, greeting...), bytes.Repeat(option(8, ""), 100)...),
	} {
		s := &nbdServer{conn: &client{Reader: bytes.NewReader(talk)}, device: bytes.NewReader(make([]byte, 16)), size: 16}
		err := s.negotiate()
		if err == nil {
			err = s.serve()
		}
		if err == nil {
			t.Errorf("%s is served", name)
		}
	}
}

// FuzzNBD: whatever the monitor sends, the server reads only the device, in bounds, and keeps little.
func FuzzNBD(f *testing.F) {
	f.Add(bytes.Join([][]byte{greeting, option(nbdOptGo, ""), request(nbdRead, 0, 16), request(nbdDisconnect, 0, 0)}, nil))
	f.Add(bytes.Join([][]byte{greeting, option(nbdOptInfo, ""), option(nbdOptAbort, "")}, nil))
	f.Fuzz(func(t *testing.T, talk []byte) {
		s := &nbdServer{conn: &client{Reader: bytes.NewReader(talk)}, device: bytes.NewReader(make([]byte, 16)), size: 16}
		if s.negotiate() == nil {
			s.serve()
		}
		if len(s.buf) > nbdPiece {
			t.Errorf("it keeps %d bytes", len(s.buf))
		}
	})
}
