package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Sink takes lines. Write gets one whole line with its line feed and must not keep it. A sink is used by one
// goroutine at a time.
type Sink interface {
	io.Writer
	Sync() error // what was written survives a crash of the machine; nothing to do for sinks that cannot promise it
	Close() error
}

// File is a sink that appends to a file: one write(2) for each event, nothing buffered.
type File struct {
	f        *os.File
	path     string
	borrowed bool
}

// OpenFile opens or creates path for appending. perm is subject to the umask: 0600 for a run's own record, 0666 for
// the documented mirror file.
//
// The path may lie where a command could write before: a symbolic link is refused, and a FIFO that nobody reads does not hold the run up.
func OpenFile(path string, perm os.FileMode) (*File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, perm)
	if err != nil {
		return nil, cause("opening", path, err)
	}
	return &File{f: f, path: path}, nil
}

// BorrowFile makes a sink of a file that is open for appending (os.O_APPEND) and stays the caller's: Close does not close it.
func BorrowFile(f *os.File) *File { return &File{f: f, path: f.Name(), borrowed: true} }

func (s *File) Write(line []byte) (int, error) {
	n, err := s.f.Write(line)
	if err != nil {
		err = cause("writing", s.path, err)
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("sink full: %w", err) // the documented words
		}
	}
	return n, err
}

// Sync is fsync(2). Files that have nothing to sync, such as pipes and terminals, are no error.
func (s *File) Sync() error {
	err := s.f.Sync()
	if err == nil || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return cause("syncing", s.path, err)
}

// Close closes the file, if it is not borrowed. Closing twice is no error.
func (s *File) Close() error {
	if s.borrowed {
		return nil
	}
	if err := s.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return cause("closing", s.path, err)
	}
	return nil
}

// cause drops the operation and path that os adds, which the message has already.
func cause(doing, path string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s %s: %w", doing, path, err)
}

// WriterSink makes a sink of w, such as standard output. It is never closed, and Sync does nothing. A caller that hands
// in descriptor 1 or 2 should ignore SIGPIPE: Go ends the program at a broken pipe there (os/signal).
func WriterSink(w io.Writer) Sink { return writerSink{w} }

type writerSink struct{ w io.Writer }

func (s writerSink) Write(line []byte) (int, error) {
	n, err := s.w.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (writerSink) Sync() error  { return nil }
func (writerSink) Close() error { return nil }
