package cellinit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"cellos.io/cellos/secret"
)

// Limits of a Boot, as in src/protocol.h.
const (
	MaxMessage = 163840 // bytes; a socket carries 212,992 at once (net.core.wmem_default)
	MaxProbes  = 256
	MaxFilters = 4
	maxArgs    = 6
	maxFilter  = 4096 // instructions: BPF_MAXINSNS, include/uapi/linux/bpf_common.h
)

const (
	bootSize  = 72
	probeSize = 64
	magic     = 0x494c4543
	version   = 2
	listener  = 1 << 31 // in the length of a filter
)

// Boot tells the process what to do.
type Boot struct {
	// TTY makes descriptor 0 the controlling terminal of the command's session.
	TTY bool
	// Foreground says that descriptor 0 is the controlling terminal of the process itself, and stays it: the command does not
	// get a session of its own, but is the foreground process group of this one. TTY has no meaning then.
	Foreground bool
	// Probes are made at once, in this order. At most MaxProbes.
	Probes []Probe
	// Candidates are the paths to try for the command, in this order, as execvp(3) does: ENOENT and ENOTDIR go on to the
	// next, EACCES too but is remembered, every other error is final. A file that is neither a program nor a script with
	// an interpreter is an error (ENOEXEC). At least one.
	Candidates []string
	// Filters are loaded by the command's process, in this order, just before execve. PR_SET_NO_NEW_PRIVS has to be set already.
	// With filters the process loads them right after Ready, sends Loaded, and stands still until Release. They have to allow
	// read, write and execve. At most MaxFilters.
	Filters []LateFilter
	// Exec are the addresses at which the path, the arguments and the environment lie in the call of execve, for a filter that allows
	// these alone. They differ, are below 2^38, and lie where nothing is mapped. All zero: anywhere.
	Exec [3]uint64
	// Arguments says that the argument vector and the environment of the command are in the file at descriptor 4, which
	// ArgumentsFile lays out, and not those that the process itself was started with.
	Arguments bool
	// KeepFirst and KeepCount are the descriptors, besides 0, 1 and 2, that the command keeps. At most 255 each; none if KeepCount is 0.
	KeepFirst, KeepCount int
}

// A LateFilter is a program of classic BPF in the kernel's form, 8 bytes an instruction.
type LateFilter struct {
	Program []byte
	// Listener makes a listener for user notification: its descriptor comes with Loaded. At most one filter has one.
	Listener bool
}

// ArgumentsFile lays out the file of Boot.Arguments. No string may contain a NUL. With secrets, which are added to the environment, the
// caller wipes the result.
func ArgumentsFile(argv, env []string, secrets ...secret.Variable) []byte {
	size := 16
	for _, v := range secrets {
		size += len(v.Name) + 1 + v.Value.Len() + 1
	}
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			size += len(s) + 1
		}
	}
	b := append(make([]byte, 0, size), words(uint32(size), uint32(len(argv)), uint32(len(env)+len(secrets)), 0)...)
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			b = append(append(b, s...), 0)
		}
	}
	for _, v := range secrets {
		b = append(v.Value.AppendTo(append(append(b, v.Name...), '=')), 0)
	}
	return b
}

// Probe is a system call that the process makes.
type Probe struct {
	Number uint64
	Args   []Arg // at most 6
	// CloseResult closes the result, if it is not an error, after the next probe, which may use it. Without it the
	// descriptor stays open until the command runs.
	CloseResult bool
}

// Arg is an argument of a probe. The zero value is the number 0.
type Arg struct {
	tag   uint8
	value uint64
	data  []byte
}

// The tags of src/protocol.h.
const (
	tagImmediate = iota
	tagData
	tagPrevious
	tagFilter
)

// Immediate is a number.
func Immediate(n uint64) Arg { return Arg{value: n} }

// Data is a pointer to a copy of b, aligned to 8 bytes. The call may write there, up to the length of b rounded up to 8.
func Data(b []byte) Arg { return Arg{tag: tagData, data: b} }

// Filter is a pointer to a struct sock_fprog with a program of classic BPF, as seccomp(2) takes it.
func Filter(program []byte) Arg {
	return Arg{tag: tagFilter, data: append(binary.LittleEndian.AppendUint64(nil, uint64(len(program)/8)), program...)}
}

// Result is the result of an earlier probe, back probes before this one (1: the last); -1 if there was none.
func Result(back int) Arg { return Arg{tag: tagPrevious, value: uint64(back - 1)} }

// encode returns the packet of a message of the supervisor.
func encode(m Message) ([]byte, error) {
	switch m := m.(type) {
	case Boot:
		return m.Encode()
	case Release:
		return words(typeRelease, 0), nil
	case Signal:
		if m.Number < 1 || m.Number > 64 {
			return nil, fmt.Errorf("encoding a message to PID 1: signal %d is not from 1 to 64", m.Number)
		}
		all := uint32(0)
		if m.All {
			all = 1
		}
		return words(typeSignal, uint32(m.Number), all, 0), nil
	case End:
		return words(typeEnd, 0), nil
	}
	return nil, fmt.Errorf("encoding a message to PID 1: %T is not the supervisor's to send", m)
}

func words(w ...uint32) []byte {
	b := make([]byte, 0, 4*len(w))
	for _, n := range w {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// Encode returns the packet. The error lists everything that is beyond a limit.
func (b Boot) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	var data []byte
	flags := uint32(0)
	if b.TTY {
		flags = 1
	}
	if b.Arguments {
		flags |= 2
	}
	if b.Foreground {
		flags |= 4
	}
	flags |= uint32(b.KeepFirst)<<8 | uint32(b.KeepCount)<<16
	msg := words(typeBoot, magic, version, flags, uint32(len(b.Probes)), uint32(len(b.Filters)), 0, uint32(len(b.Candidates)))
	for i := range MaxFilters {
		n := uint32(0)
		if i < len(b.Filters) {
			if n = uint32(len(b.Filters[i].Program) / 8); b.Filters[i].Listener {
				n |= listener
			}
		}
		msg = binary.LittleEndian.AppendUint32(msg, n)
	}
	for _, a := range b.Exec {
		msg = binary.LittleEndian.AppendUint64(msg, a)
	}
	for _, p := range b.Probes {
		head := [16]byte{8: byte(len(p.Args))}
		binary.LittleEndian.PutUint64(head[:], p.Number)
		if p.CloseResult {
			head[9] = 1
		}
		var values [8 * maxArgs]byte
		for i, a := range p.Args {
			head[10+i] = a.tag
			v := a.value
			if a.tag == tagData || a.tag == tagFilter {
				v = uint64(len(data))
				data = append(data, a.data...)
				// At least 8 bytes each, so that every pointer is into the data.
				for len(data) == int(v) || len(data)%8 != 0 {
					data = append(data, 0)
				}
			}
			binary.LittleEndian.PutUint64(values[8*i:], v)
		}
		msg = append(append(msg, head[:]...), values[:]...)
	}
	binary.LittleEndian.PutUint32(msg[24:], uint32(len(data)))
	for _, f := range b.Filters {
		msg = append(msg, f.Program...)
	}
	msg = append(msg, data...)
	for _, c := range b.Candidates {
		msg = append(append(msg, c...), 0)
	}
	if len(msg) > MaxMessage {
		return nil, fmt.Errorf("encoding a message to PID 1: %d bytes of probes, filter and paths; at most %d", len(msg), MaxMessage)
	}
	return msg, nil
}

func (b Boot) check() error {
	var errs []error
	bad := func(format string, a ...any) {
		errs = append(errs, fmt.Errorf("encoding a message to PID 1: "+format, a...))
	}
	if len(b.Probes) > MaxProbes {
		bad("%d probes; at most %d", len(b.Probes), MaxProbes)
	}
	for i, p := range b.Probes {
		if len(p.Args) > maxArgs {
			bad("probe %d has %d arguments; at most %d", i, len(p.Args), maxArgs)
		}
		for _, a := range p.Args {
			if a.tag == tagFilter && (len(a.data)%8 != 0 || len(a.data) > 8+8*maxFilter) {
				bad("a filter of %d bytes in probe %d; 8 each for at most %d instructions", len(a.data)-8, i, maxFilter)
			}
		}
	}
	if b.KeepFirst < 0 || b.KeepFirst > 255 || b.KeepCount < 0 || b.KeepCount > 255 || b.KeepCount > 0 && b.KeepFirst <= 3 {
		bad("keeping %d descriptors from %d: not above 3 and below 256", b.KeepCount, b.KeepFirst)
	}
	if len(b.Filters) > MaxFilters {
		bad("%d filters; at most %d", len(b.Filters), MaxFilters)
	}
	listeners := 0
	for i, f := range b.Filters {
		if n := len(f.Program); n == 0 || n%8 != 0 || n > 8*maxFilter {
			bad("filter %d has %d bytes; 8 each for 1 to %d instructions", i, n, maxFilter)
		}
		if f.Listener {
			listeners++
		}
	}
	if listeners > 1 {
		bad("%d filters with a listener; a process has one at most", listeners)
	}
	if e := b.Exec; e != [3]uint64{} && (e[0] == 0 || e[1] == 0 || e[2] == 0 || e[0] >= 1<<38 || e[1] >= 1<<38 || e[2] >= 1<<38) {
		bad("the addresses %#x are not all from 1 to 2^38-1", e)
	}
	if len(b.Candidates) == 0 {
		bad("no path to execute")
	}
	for i, c := range b.Candidates {
		if strings.IndexByte(c, 0) >= 0 {
			bad("a NUL in path %d, %q", i, c)
		}
	}
	return errors.Join(errs...)
}
