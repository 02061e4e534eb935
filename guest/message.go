package guest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// Hello is the guest's first message: which kernel answers. The plan was made for facts about it; the host compares.
type Hello struct {
	Protocol int      `json:"protocol"`
	Arch     string   `json:"arch"`
	Kernel   string   `json:"kernel"`   // uname(2), release
	Landlock int      `json:"landlock"` // ABI
	Uptime   int64    `json:"uptime"`   // milliseconds since the kernel started
	TUN      bool     `json:"tun"`      // it has virtual links
	IPv6     bool     `json:"ipv6"`
	Proc     []string `json:"proc"` // what the plan covers of /proc, as far as it is there
}

// Ready is what the guest measured of the cell that it built.
type Ready struct {
	Probes []string   `json:"probes"` // the answers, in the plan's order: "EPERM", or "success"
	Layers []Layer    `json:"layers"`
	Caps   [5]uint64  `json:"caps"` // inheritable, permitted, effective, bounding, ambient
	Took   [4]float64 `json:"took"` // milliseconds: drives, root, cell, probes
}

// A Layer is what the guest's own /proc shows of one layer.
type Layer struct {
	Name  string `json:"name"`
	Saw   string `json:"saw"`
	Holds bool   `json:"holds"`
}

// Failed says that the command could not be started; nothing of it ran.
type Failed struct {
	Path  []byte `json:"path"`
	Stage string `json:"stage"`
	Errno int    `json:"errno"`
}

// A File answers EXPORT: how large the file is whose bytes follow, or why it cannot be had.
type File struct {
	Size  int64  `json:"size"`
	Mode  uint32 `json:"mode"` // permission bits
	Error string `json:"error,omitempty"`
}

// A Problem is an error of the guest, after which it powers off.
type Problem struct {
	Text string `json:"text"`
}

// Exit is how the command ended, in the guest's words.
type Exit struct {
	Code, Signal          int
	Duration              time.Duration
	User, System          time.Duration
	MaxRSS, Read, Written int64
	Tasks                 int64
	OOMKills              int64 // of the guest's kernel, while the cell ran
}

const exitSize = 4 + 4 + 8*8

// Append appends the body of an EXIT frame.
func (e Exit) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(int32(e.Code)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(e.Signal))
	for _, n := range []int64{int64(e.Duration), int64(e.User), int64(e.System), e.MaxRSS, e.Read, e.Written, e.Tasks, e.OOMKills} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// ParseExit reads the body of an EXIT frame. Exactly one of status and signal is set, and no number is negative.
func ParseExit(b []byte) (Exit, error) {
	if len(b) != exitSize {
		return Exit{}, broken("EXIT of %d bytes", len(b))
	}
	n := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8+8*i:])) }
	e := Exit{
		Code: int(int32(binary.LittleEndian.Uint32(b))), Signal: int(binary.LittleEndian.Uint32(b[4:])),
		Duration: time.Duration(n(0)), User: time.Duration(n(1)), System: time.Duration(n(2)),
		MaxRSS: n(3), Read: n(4), Written: n(5), Tasks: n(6), OOMKills: n(7),
	}
	exited := e.Signal == 0 && e.Code >= 0 && e.Code <= 255
	killed := e.Signal >= 1 && e.Signal <= 64 && e.Code == -1
	if !exited && !killed {
		return Exit{}, broken("EXIT with status %d and signal %d", e.Code, e.Signal)
	}
	for i := range 8 {
		if n(i) < 0 {
			return Exit{}, broken("EXIT with a negative number")
		}
	}
	return e, nil
}

// Outcome puts it into the words of every backend.
func (e Exit) Outcome() cell.Outcome {
	return cell.Outcome{Code: e.Code, Signal: e.Signal, Duration: e.Duration, User: e.User, System: e.System,
		MaxRSS: e.MaxRSS, Read: e.Read, Written: e.Written, Tasks: e.Tasks}
}

// decode reads a JSON message of the guest strictly: no unknown field, nothing behind it.
func decode(t Type, b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return broken("%v: %s", t, Clean(err.Error(), 200))
	}
	if _, err := d.Token(); err == nil {
		return broken("%v: something follows the message", t)
	}
	return nil
}

// Clean makes a text of the guest fit to be kept and printed: one line of at most max bytes without control characters.
func Clean(s string, max int) string {
	cut := len(s) > max
	if cut {
		s = s[:max]
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
		i += n
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// Answered reports whether the guest's answer to a probe is one that the plan wants.
func Answered(p plan.Probe, got string) bool {
	if len(p.Want) == 0 {
		return got == "success"
	}
	for _, e := range p.Want {
		if got == e.Name() {
			return true
		}
	}
	return false
}
