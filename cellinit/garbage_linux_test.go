package cellinit

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestGarbage sends what is not a message, in each state, and requires the exit status that says so.
func TestGarbage(t *testing.T) {
	good, err := Boot{Candidates: []string{"/bin/sleep"}, Probes: []Probe{{Args: []Arg{Data([]byte("x"))}}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	filter := func(length uint32) []byte {
		b := with(20, 1)
		binary.LittleEndian.PutUint32(b[32:], length)
		return b
	}
	boots := map[string][]byte{
		"release first":         words(typeRelease, 0),
		"short":                 good[:7],
		"header only":           good[:bootSize],
		"no candidates' bytes":  good[:bootSize+probeSize+8],
		"no zero at the end":    good[:len(good)-1],
		"more after the end":    append(bytes.Clone(good), 'x'),
		"one candidate more":    append(bytes.Clone(good), 0),
		"other magic":           with(4, 1),
		"other version":         with(8, version+1),
		"unknown flag":          with(12, 8),
		"too many probes":       with(16, MaxProbes+1),
		"probes beyond the end": with(16, 200),
		"probes overflow":       with(16, 0x04000000),
		"too many filters":      with(20, MaxFilters+1),
		"an empty filter":       with(20, 1),
		"too long a filter":     filter(maxFilter + 1),
		"filter beyond the end": filter(maxFilter),
		"data beyond the end":   with(24, 4096),
		"data overflow":         with(24, 0xfffffff8),
		"data unaligned":        with(24, 7),
		"no candidate":          with(28, 0),
		"candidates missing":    with(28, 2),
		"seven arguments":       with(bootSize+8, 7|1<<16),
		"unknown probe flag":    with(bootSize+8, 1|2<<8|1<<16),
		"unknown tag":           with(bootSize+8, 1|4<<16),
		"filter out of data":    with(bootSize+8, 1|3<<16), // the data begins with an 'x': more instructions than there are
		"no arguments":          with(12, 2),               // nothing is at descriptor 4
		"pointer out of data":   with(bootSize+16, 8),
		"too long":              make([]byte, MaxMessage+1),
	}
	for name, b := range boots {
		t.Run("boot/"+name, func(t *testing.T) {
			p := run(t, options{})
			if _, err := p.conn.file.Write(b); err != nil {
				t.Fatal(err)
			}
			if s := p.exit(); s != ExitGarbage {
				t.Errorf("exit status %d", s)
			}
		})
	}
	for name, b := range map[string][]byte{"boot again": good, "signal": words(typeSignal, 1, 0, 0), "long": words(typeRelease, 0, 0)} {
		t.Run("ready/"+name, func(t *testing.T) {
			p := run(t, options{})
			p.send(Boot{Candidates: []string{"/bin/sleep"}})
			receive[Ready](p)
			if _, err := p.conn.file.Write(b); err != nil {
				t.Fatal(err)
			}
			if s := p.exit(); s != ExitGarbage {
				t.Errorf("exit status %d", s)
			}
		})
	}
	for name, b := range map[string][]byte{
		"boot again": good, "release again": words(typeRelease, 0), "signal 0": words(typeSignal, 0, 0, 0),
		"signal 65": words(typeSignal, 65, 0, 0), "unknown scope": words(typeSignal, 1, 2, 0), "unknown word": words(typeSignal, 1, 0, 1),
	} {
		t.Run("running/"+name, func(t *testing.T) {
			p := run(t, options{pid1: true, argv: []string{"sleep", "1000"}})
			p.start(Boot{Candidates: []string{"/bin/sleep"}})
			if _, err := p.conn.file.Write(b); err != nil {
				t.Fatal(err)
			}
			if s := p.exit(); s != ExitGarbage {
				t.Errorf("exit status %d", s)
			}
		})
	}
}
