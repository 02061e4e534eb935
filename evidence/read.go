package evidence

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/evidence/lines"
)

// LineError says which line of a stream could not be read.
type LineError struct {
	Line int // from 1
	Err  error
}

func (e *LineError) Error() string { return "line " + strconv.Itoa(e.Line) + ": " + e.Err.Error() }
func (e *LineError) Unwrap() error { return e.Err }

// ReadEvents yields the events of a stream without judging them: members that are missing stay zero, unknown ones are
// ignored, nothing is verified. A line that is no event yields a [*LineError], and reading goes on behind it. The
// last line may be torn (lines.ErrTorn). Any other error ends the reading.
func ReadEvents(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for in := lines.NewReader(r, MaxLine); ; {
			line, err := in.Next()
			switch err {
			case io.EOF:
				return
			case nil, lines.ErrTooLong, lines.ErrTorn:
			default:
				yield(Event{}, fmt.Errorf("reading events: %w", err))
				return
			}
			var e Event
			if err == nil {
				e, err = ParseEvent(line)
			}
			if err != nil {
				err = &LineError{in.Number(), err}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// ParseEvent reads one line. Data is the text that stands there, which need not be canonical; nothing of the result
// shares memory with line.
func ParseEvent(line []byte) (Event, error) {
	var e Event
	members, err := canon.Object(make([]canon.Member, 0, 16), line)
	if err != nil {
		return e, err
	}
	for _, m := range members {
		if canon.IsNull(m.Value) {
			continue
		}
		switch m.Name {
		case "specversion":
			var v string
			if v, err = canon.String(m.Value); err == nil && v != "1.0" {
				err = fmt.Errorf("%q is not 1.0", v)
			}
		case "id":
			e.ID, err = canon.String(m.Value)
		case "source":
			e.Source, err = canon.String(m.Value)
		case "type":
			e.Type, err = canon.String(m.Value)
		case "time":
			e.Time, err = parseTime(m.Value)
		case "data":
			e.Data = append([]byte(nil), m.Value...)
		case "sequence":
			e.Sequence, err = parseCount(m.Value)
		case "cellosrun":
			e.Run, err = canon.String(m.Value)
		case "cellosprev":
			e.Prev, err = canon.String(m.Value)
		case "celloscount":
			e.Count, err = strconv.ParseUint(string(m.Value), 10, 64)
		case "dssematerial":
			e.Material, err = canon.String(m.Value)
		}
		if err != nil {
			return Event{}, fmt.Errorf("%s: %v", m.Name, err)
		}
	}
	return e, nil
}

func parseTime(value []byte) (time.Time, error) {
	s, err := canon.String(value)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time as in RFC 3339", s)
	}
	return t.UTC(), nil
}

func parseCount(value []byte) (uint64, error) {
	s, err := canon.String(value)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}
