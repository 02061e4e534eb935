package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/lines"
)

func TestReadEvents(t *testing.T) {
	in := `{"specversion":"1.0","id":"a","source":"s","type":"t","data":{"b":1, "a":2},"time":"2026-11-23T09:12:33.5+02:00","traceparent":null,"unknown":{"x":[]},"sequence":"0000000007","celloscount":7}
{"id":"b"}
not json
{"id":1}
{"id":"a","id":"b"}
{"specversion":"2.0"}
{"time":"yesterday"}
{"sequence":7}
` + `"` + strings.Repeat("x", evidence.MaxLine) + `"
{"id":"c"}
{"id":"torn"`
	var got []string
	for e, err := range evidence.ReadEvents(strings.NewReader(in)) {
		var le *evidence.LineError
		switch {
		case err == nil:
			got = append(got, fmt.Sprintf("%s %d %d %s %s", e.ID, e.Sequence, e.Count, e.Data, e.Time.Format("15:04:05.0Z07:00")))
		case errors.As(err, &le):
			got = append(got, err.Error())
		default:
			t.Fatal(err)
		}
		if le != nil && le.Line == 11 && !errors.Is(err, lines.ErrTorn) {
			t.Errorf("last line: %v", err)
		}
	}
	want := []string{
		`a 7 7 {"b":1, "a":2} 07:12:33.5Z`, `b 0 0  00:00:00.0Z`,
		"line 3: at byte 0: want an object", "line 4: id: at byte 0: want a string", `line 5: at byte 0: member "id" occurs twice`,
		`line 6: specversion: "2.0" is not 1.0`, `line 7: time: "yesterday" is not a time as in RFC 3339`, "line 8: sequence: at byte 0: want a string",
		"line 9: line above the limit", `c 0 0  00:00:00.0Z`, "line 11: the input ends in the middle of a line",
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
	n := 0
	for _, err := range evidence.ReadEvents(iotest.ErrReader(errors.New("disk"))) {
		if n++; err == nil || err.Error() != "reading events: disk" {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d results from a broken reader", n)
	}
}

// FuzzReadEvents: no panic, bounded, and what is read can be written and read again.
func FuzzReadEvents(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"a","source":"s","type":"t","datacontenttype":"application/json","data":{"a":1},"time":"2026-11-23T09:12:33.552743888+00:00","traceparent":null,"sequence":"0000000001","cellosrun":"r","cellosprev":"p","celloscount":1,"dssematerial":"m"}` + "\n"))
	f.Add([]byte("{}\n{\"id\":\"\\u0000\"}\n"))
	f.Add([]byte(`{"time":"0000-01-01T00:00:00Z","data":null}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		count := bytes.Count(in, []byte("\n")) + 1
		for e, err := range evidence.ReadEvents(bytes.NewReader(in)) {
			if count--; count < 0 {
				t.Fatal("more results than lines")
			}
			if err != nil || e.Time.Year() < 0 || e.Time.Year() > 9999 {
				continue
			}
			line := e.AppendJSON(nil)
			again, err := evidence.ParseEvent(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if second := again.AppendJSON(nil); !bytes.Equal(line, second) {
				t.Fatalf("not stable:\n%s\n%s", line, second)
			}
		}
	})
}
