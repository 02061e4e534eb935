package wire

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/evidence"
)

func ring(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "ring"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f *os.File, n uint64, dst string) error {
	t.Helper()
	m, err := Of("source", evidence.FlowDecision{DecisionID: dst, Allow: true, DstAddr: dst, DstPort: 443})
	if err != nil {
		t.Fatal(err)
	}
	m.Ahead = n
	_, err = PutAhead(f, m)
	return err
}

// The ring keeps the last decisions, in order.
func TestAhead(t *testing.T) {
	f := ring(t)
	const last = Slots + 7
	for n := uint64(1); n <= last; n++ {
		if err := put(t, f, n, strings.Repeat("x", int(n))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ReadAhead(f, 0)
	if err != nil || len(list) != Slots {
		t.Fatalf("%d decisions, %v", len(list), err)
	}
	for i, d := range list {
		if want := 8 + i; d.DstAddr != strings.Repeat("x", want) || d.Source != "source" || !d.Allow || d.DstPort != 443 {
			t.Errorf("decision %d is %+v", i, d)
		}
	}
	if list, err = ReadAhead(f, last-2); err != nil || len(list) != 2 {
		t.Errorf("%d decisions are after the last but two, %v", len(list), err)
	}
	if err := put(t, f, last+1, strings.Repeat("y", SlotSize)); !errors.Is(err, ErrNoSlot) {
		t.Errorf("too long a decision: %v", err)
	}
	if list, err = ReadAhead(f, 0); err != nil || len(list) != Slots {
		t.Errorf("then %d decisions, %v", len(list), err)
	}
}

// What a gate that was taken over writes there is passed over, unless it is a decision.
func TestAheadIsNotTrusted(t *testing.T) {
	f := ring(t)
	if list, err := ReadAhead(f, 0); err != nil || len(list) != 0 {
		t.Errorf("an empty ring has %v, %v", list, err)
	}
	if err := put(t, f, 3, "good"); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{`{"Kind":"event","Payload":"use","Data":{},"Ahead":5}` + "\n", `{"Kind":"event","Payload":"flow","Data":7,"Ahead":6}` + "\n",
		`{"Kind":"sync","Ahead":9}` + "\n", "\x00\xff\n", strings.Repeat("[", SlotSize), `{"Kind":"event","Payload":"flow","Data":{"DecisionID":"cut`} {
		if _, err := f.WriteAt([]byte(text), int64(5+i)*SlotSize); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ReadAhead(f, 0)
	if err != nil || len(list) != 1 || list[0].DstAddr != "good" {
		t.Errorf("the ring has %+v, %v", list, err)
	}
}

// FuzzAhead: no file makes the reader fail or say more than a ring holds.
func FuzzAhead(f *testing.F) {
	f.Add([]byte(`{"Kind":"event","Payload":"flow","Data":{"DecisionID":"1"},"Ahead":1}` + "\n"))
	f.Add([]byte(strings.Repeat(" ", SlotSize) + `{"Ahead":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ReadAhead(bytes.NewReader(b), 0)
		if err != nil || len(list) > Slots {
			t.Errorf("%d decisions, %v", len(list), err)
		}
	})
}
