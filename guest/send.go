package guest

import (
	"encoding/binary"
	"fmt"

	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
)

// Configure sends CONFIG.
func (h *Host) Configure(c Config) error {
	b, err := c.Frames(TypeConfig)
	if err != nil {
		return err
	}
	return h.write(b)
}

// Secret sends SECRET: a variable of the command's environment. It comes before CONFIG.
func (h *Host) Secret(v secret.Variable) error {
	return v.Value.Use(func(value []byte) error {
		if len(v.Name)+len(value) > MaxFrame-3 {
			return fmt.Errorf("the secret %s has %d bytes; at most %d: %w", v.Name, len(value), MaxFrame-3-len(v.Name), sysabi.E2BIG)
		}
		b := Append(make([]byte, 0, 8+len(v.Name)+len(value)), TypeSecret, binary.LittleEndian.AppendUint16(nil, uint16(len(v.Name))), []byte(v.Name), value)
		defer clear(b)
		return h.write(b)
	})
}

// Resize sends RESIZE: the size of the command's terminal. It may come before RELEASE.
func (h *Host) Resize(rows, cols uint16) error {
	return h.send(TypeResize, binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, rows), cols))
}

// Export asks for a file, when the changes were heard: FILE comes, and DATA if it has no error.
func (h *Host) Export(path string) error {
	if len(path) > MaxPath {
		return sysabi.ENAMETOOLONG
	}
	h.wanted.Store(true)
	return h.send(TypeExport, []byte(path))
}

// Taken says that bytes of STDOUT or STDERR were passed on: as many more may come.
func (h *Host) Taken(t Type, n int) error {
	h.untaken[t-TypeStdout].Add(-int64(n))
	return h.send(TypeTaken, binary.LittleEndian.AppendUint32([]byte{byte(t)}, uint32(n)))
}

// Packet sends ARRIVE: an IP packet for the cell, which has a network.
func (h *Host) Packet(b []byte) error { return h.send(TypeArrive, b) }

// Ping asks for a sign of life.
func (h *Host) Ping() error { return h.send(TypePing) }

// Release sends RELEASE.
func (h *Host) Release() error {
	h.released.Store(true)
	return h.send(TypeRelease)
}

// Acknowledge sends ACK: the guest powers off.
func (h *Host) Acknowledge() error { return h.send(TypeAck) }

// Signal sends SIGNAL to the command's process group, or to every process of the cell.
func (h *Host) Signal(n int, every bool) error {
	all := byte(0)
	if every {
		all = 1
	}
	if n < 1 || n > 64 {
		return sysabi.EINVAL
	}
	return h.send(TypeSignal, []byte{byte(n), all})
}

// Input sends standard input, at most MaxData bytes for which there is credit; no byte means that it has ended.
func (h *Host) Input(b []byte) error {
	if len(b) == 0 {
		return h.send(TypeEOF)
	}
	return h.send(TypeStdin, b)
}

// Closed sends CLOSED: nobody reads an output any more, so its writers get SIGPIPE.
func (h *Host) Closed(t Type) error { return h.send(TypeClosed, []byte{byte(t)}) }

func (h *Host) send(t Type, parts ...[]byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = Append(h.buf[:0], t, parts...)
	_, err := h.out.Write(h.buf)
	return err
}

func (h *Host) write(b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(b)
	return err
}
