package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"cellos.io/cellos/plan"
)

func ask(n uint32, line string) []byte {
	return Append(nil, TypeAsk, binary.LittleEndian.AppendUint32(nil, n), []byte(line))
}

// A guest has as many requests under way as a socket answers at once, of as many bytes, and each has a number.
func TestAsking(t *testing.T) {
	p := testPlan()
	p.Machine = &plan.Machine{Asks: true}
	var many []byte
	for n := range uint32(129) { // docs/secrets.md: 128 are answered at once
		many = append(many, ask(n, "x")...)
	}
	before := stream(goodHello, goodReady)
	up := stream(before, started)
	for _, x := range []struct {
		name string
		in   []byte
		want string
	}{
		{"before the start", stream(before, ask(1, "x")), "ASK does not come here"},
		{"after the end", stream(up, goodExit, ask(1, "x")), "ASK does not come here"},
		{"no number", stream(up, frame(TypeAsk, "xyz")), "ASK of 3 bytes"},
		{"more than a request may have", stream(up, ask(1, strings.Repeat("x", 64<<10+1))), "ASK of 65541 bytes"},
		{"a number twice", stream(up, ask(7, "x"), ask(8, "x"), ask(7, "x")), "ASK number 7, which is not answered yet"},
		{"too many at once", stream(up, many), "more than 128 requests"},
	} {
		h := NewHost(bytes.NewReader(x.in), io.Discard, p)
		var err error
		for err == nil {
			_, err = h.Next()
		}
		var broken *ProtocolError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; want %q", x.name, err, x.want)
		}
	}
}

// An answer arrives in parts of which the last says so, and makes room for the next request.
func TestAnswer(t *testing.T) {
	p := testPlan()
	p.Machine = &plan.Machine{Asks: true}
	var out bytes.Buffer
	h := NewHost(bytes.NewReader(stream(goodHello, goodReady, started, ask(7, "one"), ask(7, "two"))), &out, p)
	long := strings.Repeat("0123456789abcdef", 10<<10)
	for _, want := range []struct{ line, answer string }{{"one", long}, {"two", ""}} {
		e, err := h.Next()
		for err == nil && e.Type != TypeAsk {
			e, err = h.Next()
		}
		if err != nil || string(e.Data) != want.line || e.Number != 7 {
			t.Fatalf("%+v, %v", e, err)
		}
		if err := h.Answer(e.Number, []byte(want.answer)); err != nil {
			t.Fatal(err)
		}
		got, r := "", NewReader(&out)
		for last := false; !last; {
			typ, b, err := r.Next()
			if err != nil || typ != TypeAnswer || binary.LittleEndian.Uint32(b) != 7 {
				t.Fatalf("%v %q, %v", typ, b, err)
			}
			got, last = got+string(b[5:]), b[4] == 1
		}
		if got != want.answer || out.Len() != 0 {
			t.Errorf("%d bytes arrive of %d", len(got), len(want.answer))
		}
	}
}
