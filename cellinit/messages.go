package cellinit

import (
	"encoding/binary"
	"fmt"
	"time"

	"cellos.io/cellos/sysabi"
)

// A Message is one packet of the conversation: Boot, Release, Signal and End from the supervisor, Ready, Loaded, Running,
// Failed and Exit from the process.
type Message interface{ message() }

// The types of src/protocol.h.
const (
	typeBoot = 1 + iota
	typeReady
	typeRelease
	typeRunning
	typeFailed
	typeSignal
	typeExit
	typeEnd
	typeLoaded
)

// Ready has the results of the probes, in their order: what the kernel returned, negative error numbers included.
type Ready struct{ Results []int64 }

// Loaded says that the command's process has loaded the filters of Boot, and waits for Release. It is sent by that process.
type Loaded struct {
	// Listener is the descriptor of the listener in that process, 0 if there is none. It is close-on-exec: the supervisor takes a
	// copy before Release.
	Listener int
	PID      int // of the process, as the supervisor sees it
}

// Release starts the command.
type Release struct{}

// Running says that the command was executed.
type Running struct {
	PID int // in the cell's pid namespace
}

// Failed says that the command could not be started. Nothing of it ran.
type Failed struct {
	Stage     Stage
	Errno     sysabi.Errno
	Candidate int // index in Boot.Candidates of the path that the error is about, where Stage is StageExec
}

// Signal sends a signal to the command's process group, or to every process of the cell but PID 1.
type Signal struct {
	Number int // 1 to 64
	All    bool
}

// Exit says how the command ended. Every other process of the cell but PID 1 has ended, too, and was reaped.
type Exit struct {
	Code       int // 0 to 255; -1 if a signal ended the command
	Signal     int // 0 if it exited by itself
	CoreDumped bool
	Command    Usage  // of the command and the children that it waited for
	All        Usage  // of every process of the cell that is gone
	LastPID    uint64 // the last process number that the cell gave out, 2 or more; 0 if /proc/loadavg could not be read
}

// End ends the process.
type End struct{}

func (Boot) message()    {}
func (Ready) message()   {}
func (Loaded) message()  {}
func (Release) message() {}
func (Running) message() {}
func (Failed) message()  {}
func (Signal) message()  {}
func (Exit) message()    {}
func (End) message()     {}

// Usage is what processes used, as getrusage(2) counts it.
type Usage struct {
	User, System           time.Duration
	MaxRSS                 int64 // largest resident set of one process, in bytes
	InBlocks, OutBlocks    int64 // blocks of 512 bytes from and to file systems
	Voluntary, Involuntary int64 // context switches
}

// Stage is what the process was doing when the command could not be started.
type Stage int

// The stages, in their order.
const (
	StageClone       Stage = 1 + iota // making the process
	StageSession                      // setsid
	StageTerminal                     // making descriptor 0 the controlling terminal
	StageDescriptors                  // closing every descriptor from 3 up
	StageFilter                       // loading the filters of Boot
	StageGate                         // waiting for the release under these filters
	StageExec                         // execve
)

// String says the stage in words, to be read after "while": "making the command's process".
func (s Stage) String() string {
	switch s {
	case StageClone:
		return "making the command's process"
	case StageSession:
		return "starting the command's session"
	case StageTerminal:
		return "giving the command its terminal"
	case StageDescriptors:
		return "closing descriptors"
	case StageFilter:
		return "loading the command's filters"
	case StageGate:
		return "waiting for the release under the command's filters, which must allow read and write"
	case StageExec:
		return "executing the command"
	}
	return fmt.Sprintf("stage %d", int(s))
}

const (
	usageSize = 7 * 8
	exitSize  = 8 + 2*usageSize + 8
)

// Decode reads a message of the process. The error names what is wrong with it.
func Decode(msg []byte) (Message, error) {
	if len(msg) < 8 {
		return nil, fmt.Errorf("decoding a message of PID 1: %d bytes", len(msg))
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(msg[4*i:]) }
	size := func(n int) error {
		if len(msg) != n {
			return fmt.Errorf("decoding a message of PID 1: type %d has %d bytes instead of %d", word(0), len(msg), n)
		}
		return nil
	}
	switch word(0) {
	case typeReady:
		n := int(word(1))
		if n > MaxProbes {
			return nil, fmt.Errorf("decoding a message of PID 1: %d results; at most %d", n, MaxProbes)
		}
		if err := size(8 + 8*n); err != nil {
			return nil, err
		}
		r := Ready{Results: make([]int64, n)}
		for i := range r.Results {
			r.Results[i] = int64(binary.LittleEndian.Uint64(msg[8+8*i:]))
		}
		return r, nil
	case typeLoaded:
		if err := size(8); err != nil {
			return nil, err
		}
		if n := int32(word(1)); n < 0 {
			return nil, fmt.Errorf("decoding a message of PID 1: listener %d", n)
		}
		return Loaded{Listener: int(word(1))}, nil
	case typeRunning:
		if err := size(8); err != nil {
			return nil, err
		}
		return Running{PID: int(int32(word(1)))}, nil
	case typeFailed:
		if err := size(16); err != nil {
			return nil, err
		}
		f := Failed{Errno: sysabi.Errno(word(1)), Candidate: int(word(2)), Stage: Stage(word(3))}
		if e := word(1); e < 1 || e > 4095 || f.Stage < StageClone || f.Stage > StageExec || f.Candidate > MaxMessage {
			return nil, fmt.Errorf("decoding a message of PID 1: error %d, candidate %d, %v", e, f.Candidate, f.Stage)
		}
		return f, nil
	case typeExit:
		if err := size(exitSize); err != nil {
			return nil, err
		}
		return decodeExit(msg), nil
	}
	return nil, fmt.Errorf("decoding a message of PID 1: unknown type %d", word(0))
}

func decodeExit(msg []byte) Exit {
	status := binary.LittleEndian.Uint32(msg[4:])
	e := Exit{
		Code:       int(status >> 8 & 0xff), // wait(2): the macros of <sys/wait.h>
		Signal:     int(status & 0x7f),
		CoreDumped: status&0x80 != 0,
		Command:    decodeUsage(msg[8:]),
		All:        decodeUsage(msg[8+usageSize:]),
		LastPID:    binary.LittleEndian.Uint64(msg[8+2*usageSize:]),
	}
	if e.Signal != 0 {
		e.Code = -1
	}
	return e
}

func decodeUsage(b []byte) Usage {
	n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	return Usage{
		User:     time.Duration(n(0)) * time.Microsecond,
		System:   time.Duration(n(1)) * time.Microsecond,
		MaxRSS:   n(2) * 1024,
		InBlocks: n(3), OutBlocks: n(4),
		Voluntary: n(5), Involuntary: n(6),
	}
}
