//go:build linux && (amd64 || arm64)

package microvm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/plan"
)

// What a pool and a run say to each other, on a stream socket that only their user can open:
//
//	run                                   pool
//	asked ─────────────────────────────▶
//	  ◀──────────────── answered, descriptors of a machine
//	                                      closes its own copies
//	  ◀──────────────────────── end of file  nobody else holds the machine now
//
// A message is the length of a JSON text, u32 little-endian, and the text.

// A shape is everything by which a waiting machine fits a cell, or does not.
type shape struct {
	Monitor string `json:"monitor"` // name
	KVM     bool   `json:"kvm"`
	Boots   Digests
	Memory  uint64 `json:"memory"` // bytes
	CPUs    int    `json:"cpus"`
	Scratch uint64 `json:"scratch"` // bytes, room for what changes; less may be asked for
}

// shapeOf is the shape of the machine that a plan needs.
func (b Backend) shapeOf(p *plan.Plan, d Digests) shape {
	q, _ := b.Monitor.(QEMU)
	d.Root = "" // an image of the cell, and not of the machine
	return shape{Monitor: b.Monitor.Name(), KVM: q.KVM, Boots: d, Memory: p.Machine.Memory, CPUs: p.Machine.CPUs, Scratch: p.Limits.Scratch}
}

// differs says in what a machine is not the one that is wanted; "" if it fits.
func (s shape) differs(want shape) string {
	var list []string
	say := func(what string, has, wants any) {
		if has != wants {
			list = append(list, fmt.Sprintf("%s %v instead of %v", what, has, wants))
		}
	}
	say("the monitor", s.Monitor, want.Monitor)
	say("KVM", s.KVM, want.KVM)
	say("the monitor's program", s.Boots.Monitor, want.Boots.Monitor)
	say("the kernel", s.Boots.Kernel, want.Boots.Kernel)
	say("the initial file system", s.Boots.Initrd, want.Boots.Initrd)
	say("memory of MiB", s.Memory>>20, want.Memory>>20)
	say("processors", s.CPUs, want.CPUs)
	if s.Scratch < want.Scratch {
		say("scratch space of MiB", s.Scratch>>20, want.Scratch>>20)
	}
	return strings.Join(list, ", ")
}

// Words of asked.
const (
	askTake   = "take"
	askStatus = "status"
	askStop   = "stop"
)

type poolAsked struct {
	Protocol int    `json:"protocol"`
	What     string `json:"what"`
	Want     shape  `json:"want"`
}

type poolAnswer struct {
	Error   string      `json:"error,omitempty"`
	Hint    string      `json:"hint,omitempty"`
	Machine *handed     `json:"machine,omitempty"`
	Status  *PoolStatus `json:"status,omitempty"`
}

// handed is a machine that changes hands, with the descriptors of its files: the lifeline of the monitor's cell, its pidfd and working
// directory, the console, the channel and the disk.
type handed struct {
	Shape   shape         `json:"shape"`
	Times   []int64       `json:"times"` // change times of what booted, when it did: kernel, monitor's program, initial file system
	Waited  time.Duration `json:"waited"`
	PID     int           `json:"pid"`  // of the monitor's cell
	User    uint32        `json:"user"` // of the monitor, on the host
	Answers []int64       `json:"answers"`
	Hello   guest.Hello   `json:"hello"`
	Parts   []diskPart    `json:"parts"`
	Console []byte        `json:"console"` // what was printed last
	Pool    int           `json:"pool"`    // the pool's process

	files  []*os.File
	copies []*os.File // of these, those that were made for sending
}

const handedFiles = 6

func (h *handed) close() { closeAll(h.files...) }

// maxHanded bounds a message. The largest has a few kilobytes, and 16 KiB of console.
const maxHanded = 1 << 20

// send sends a message with descriptors.
func send(conn *net.UnixConn, message any, files ...*os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var fds []int
	for _, f := range files {
		raw, err := f.SyscallConn() // Fd would make it block
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
		}
		if err != nil {
			return err
		}
	}
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	b := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	n, _, err := conn.WriteMsgUnix(b, rights, nil)
	if err == nil && n < len(b) {
		_, err = conn.Write(b[n:])
	}
	return err
}

// receive receives one. The files are the caller's, also when there is an error.
func receive(conn *net.UnixConn, message any) (files []*os.File, err error) {
	var head [4]byte
	fds, err := readWithFiles(conn, head[:], 4*handedFiles)
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "handed over"))
	}
	if err != nil {
		return files, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxHanded {
		return files, fmt.Errorf("a message of %d bytes; at most %d", n, maxHanded)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(conn, text); err != nil {
		return files, err
	}
	return files, json.Unmarshal(text, message)
}

// readWithFiles fills b, and returns the descriptors that came with it; room is for their bytes.
func readWithFiles(conn *net.UnixConn, b []byte, room int) (files []int, err error) {
	oob := make([]byte, syscall.CmsgSpace(room))
	for n := 0; n < len(b); {
		k, oobn, flags, _, err := conn.ReadMsgUnix(b[n:], oob)
		if oobn > 0 {
			messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
			if err != nil {
				return files, err
			}
			for _, m := range messages {
				fds, err := syscall.ParseUnixRights(&m)
				if err != nil {
					continue // of another kind
				}
				files = append(files, fds...)
			}
		}
		switch {
		case n > 0 && (k == 0 || errors.Is(err, io.EOF)):
			return files, io.ErrUnexpectedEOF
		case err != nil:
			return files, err
		case flags&syscall.MSG_CTRUNC != 0:
			return files, errors.New("a peer that sends too many descriptors")
		}
		n += k
	}
	return files, nil
}

// ours refuses a peer that is another user.
func ours(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *syscall.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); e != nil {
		err = e
	}
	if err == nil && int(cred.Uid) != os.Geteuid() {
		err = fmt.Errorf("it belongs to the user %d", cred.Uid)
	}
	return err
}

// same reports whether the change times are those of what was checked.
func (h *handed) same(checked []checkedFile) bool {
	var now []int64
	for _, x := range checked[:min(len(checked), len(h.Times))] {
		now = append(now, x.time)
	}
	return slices.Equal(now, h.Times)
}
