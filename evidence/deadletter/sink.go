package deadletter

import (
	"errors"

	"cellos.io/cellos/evidence"
)

// Behind returns a sink that keeps in d what s does not take. It fails only when neither takes it.
func Behind(s evidence.Sink, d *Dir) evidence.Sink { return &sink{s, d} }

type sink struct {
	evidence.Sink
	dir *Dir
}

func (s *sink) Write(line []byte) (int, error) {
	n, err := s.Sink.Write(line)
	if err == nil {
		return n, nil
	}
	if lost := s.dir.Put(line, err); lost != nil {
		return 0, errors.Join(err, lost)
	}
	return len(line), nil
}
