package cellinit

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
)

func exitPacket() []byte {
	b := words(typeExit, 0x8b)
	for i := range uint64(15) {
		b = binary.LittleEndian.AppendUint64(b, i+1)
	}
	return b
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		msg  []byte
		want Message
		err  string
	}{
		{words(typeReady, 0), Ready{Results: []int64{}}, ""},
		{words(typeReady, 2, 0xffffffff, 0xffffffff, 7, 0), Ready{Results: []int64{-1, 7}}, ""},
		{words(typeLoaded, 4), Loaded{Listener: 4}, ""},
		{words(typeLoaded, 1<<31), nil, "decoding a message of PID 1: listener -2147483648"},
		{words(typeRunning, 2), Running{PID: 2}, ""},
		{words(typeFailed, 13, 3, 7), Failed{Stage: StageExec, Errno: sysabi.EACCES, Candidate: 3}, ""},
		{exitPacket(), Exit{Code: -1, Signal: 11, CoreDumped: true,
			Command: Usage{1 * time.Microsecond, 2 * time.Microsecond, 3072, 4, 5, 6, 7},
			All:     Usage{8 * time.Microsecond, 9 * time.Microsecond, 10240, 11, 12, 13, 14}, LastPID: 15}, ""},
		{nil, nil, "decoding a message of PID 1: 0 bytes"},
		{words(typeReady, 1), nil, "decoding a message of PID 1: type 2 has 8 bytes instead of 16"},
		{words(typeReady, 1<<30), nil, "decoding a message of PID 1: 1073741824 results; at most 256"},
		{words(typeRunning, 1, 2), nil, "decoding a message of PID 1: type 4 has 12 bytes instead of 8"},
		{words(typeFailed, 0, 3, 7), nil, "decoding a message of PID 1: error 0, candidate 3, executing the command"},
		{words(typeFailed, 1, 0, 8), nil, "decoding a message of PID 1: error 1, candidate 0, stage 8"},
		{exitPacket()[:120], nil, "decoding a message of PID 1: type 7 has 120 bytes instead of 128"},
		{words(typeRelease, 0), nil, "decoding a message of PID 1: unknown type 3"},
	} {
		got, err := Decode(c.msg)
		if text := errorText(err); text != c.err || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%x: %#v, %q", c.msg, got, text)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want []string
	}{
		{Boot{Probes: make([]Probe, 257), Filters: []LateFilter{{Program: make([]byte, 9)}}}, []string{"257 probes; at most 256", "filter 0 has 9 bytes", "no path to execute"}},
		{Boot{Probes: []Probe{{Args: make([]Arg, 7)}}, Candidates: []string{"a", "b\x00"}}, []string{"probe 0 has 7 arguments", `a NUL in path 1, "b\x00"`}},
		{Boot{Filters: []LateFilter{{Program: make([]byte, 8*4097), Listener: true}, {Listener: true}, {}, {}, {}}, Candidates: []string{""}, Exec: [3]uint64{1, 2, 0}},
			[]string{"filter 0 has 32776 bytes", "filter 1 has 0 bytes", "5 filters; at most 4", "2 filters with a listener", "addresses [0x1 0x2 0x0]"}},
		{Boot{Candidates: []string{strings.Repeat("x", MaxMessage)}}, []string{"163913 bytes of probes, filter and paths; at most 163840"}},
		{Signal{Number: 65}, []string{"signal 65 is not from 1 to 64"}},
		{Ready{}, []string{"cellinit.Ready is not the supervisor's to send"}},
	} {
		_, err := encode(c.m)
		for _, want := range c.want {
			if !strings.Contains(errorText(err), want) {
				t.Errorf("%T: no %q in %q", c.m, want, errorText(err))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range [][]byte{words(typeReady, 1, 2, 3), words(typeRunning, 2), words(typeFailed, 2, 0, 6), exitPacket(), nil, words(9, 9)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := Decode(msg)
		if (m == nil) == (err == nil) {
			t.Fatalf("%#v and %v", m, err)
		}
		switch m := m.(type) {
		case Ready:
			if len(msg) != 8+8*len(m.Results) {
				t.Errorf("%d results in %d bytes", len(m.Results), len(msg))
			}
		case Exit:
			if m.Code < -1 || m.Code > 255 || m.Signal < 0 || m.Signal > 127 || (m.Signal != 0) != (m.Code == -1) {
				t.Errorf("%+v", m)
			}
		}
	})
}
