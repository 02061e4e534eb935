package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// REFUSED comes where it is asked for and something runs, and is about the plan's filters; it arrives as a claim.
func TestRefused(t *testing.T) {
	p := testPlan()
	p.Watch, p.Filters = authority.WatchRefused, make([]plan.Filter, 2)
	call := cell.Call{Data: seccomp.Data{NR: 101, Arch: 0xc000003e, Args: [6]uint64{1, 2, 3, 4, 5, 1 << 63}}, Verdict: seccomp.Errno(sysabi.EPERM), By: 1}
	body := AppendRefused(nil, call)
	other := func(at int, v uint32) []byte {
		b := bytes.Clone(body)
		binary.LittleEndian.PutUint32(b[at:], v)
		return Append(nil, TypeRefused, b)
	}
	good := Append(nil, TypeRefused, body)
	up := stream(goodHello, goodReady)
	for _, x := range []struct {
		name     string
		in       []byte
		plan     *plan.Plan
		released bool
		want     string // "": it is heard
	}{
		{"before the command is started", stream(up, good), p, true, ""},
		{"while it runs", stream(up, started, good), p, true, ""},
		{"before the release", stream(up, good), p, false, "REFUSED does not come here"},
		{"after the end", stream(up, started, goodExit, good), p, true, "REFUSED does not come here"},
		{"not asked for", stream(up, started, good), testPlan(), true, "REFUSED does not come here"},
		{"another length", stream(up, frame(TypeRefused, string(body[1:]))), p, true, "REFUSED of 63 bytes"},
		{"a filter that is not there", stream(up, other(60, 2)), p, true, "REFUSED by filter 2 of 2"},
		{"a negative filter", stream(up, other(60, 0xffffffff)), p, true, "REFUSED by filter 4294967295 of 2"},
		{"what is allowed", stream(up, other(56, 0x7fff0000)), p, true, "REFUSED with the answer 0x7fff0000"}, // SECCOMP_RET_ALLOW
	} {
		h := NewHost(bytes.NewReader(x.in), io.Discard, x.plan)
		if x.released {
			if err := h.Release(); err != nil {
				t.Fatal(err)
			}
		}
		var e Event
		var err error
		for err == nil && e.Type != TypeRefused {
			e, err = h.Next()
		}
		call.Claimed = true
		var broken *ProtocolError
		if x.want == "" && (err != nil || e.Call != call) || x.want != "" && (!errors.As(err, &broken) || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %+v, %v; want %q", x.name, e.Call, err, x.want)
		}
	}
}
