package evidence

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Sink takes lines. Write gets one whole line with its line feed and must not keep it; a Write that failed took nothing and may be
// tried again. A sink is used by one goroutine at a time.
type Sink interface {
	io.Writer
	Sync() error // what was written survives a crash of the machine; nothing to do for sinks that cannot promise it
	Close() error
}

// File is a sink that appends to a file: one write(2) for each event, nothing buffered. A line is there as a whole or not at all: what
// a full disk cuts off is taken back.
type File struct {
	f        *os.File
	path     string
	borrowed bool
	regular  bool
	synced   bool     // the folder is, too
	shared   *os.File // the same file for reading, where others write too
	torn     bool     // a part of a line is there that cannot be taken back
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
	i, err := f.Stat()
	return &File{f: f, path: path, regular: err == nil && i.Mode().IsRegular()}, nil
}

// OpenShared opens a file as OpenFile does that other processes append to at the same time. Each line is written under the lock of
// flock(2), behind what is there: also behind the part of a line that a process left which was killed while it wrote. A lock that
// another process does not give back within ten seconds is an error.
func OpenShared(path string, perm os.FileMode) (*File, error) {
	s, err := OpenFile(path, perm)
	if err != nil || !s.regular {
		return s, err
	}
	// For reading it may not be open to us: then its last byte is not looked at.
	if r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0); err == nil {
		a, err1 := r.Stat()
		b, err2 := s.f.Stat()
		if err1 == nil && err2 == nil && os.SameFile(a, b) {
			s.shared = r
			return s, nil
		}
		r.Close()
	}
	s.shared = s.f
	return s, nil
}

// BorrowFile makes a sink of a file that is open for appending (os.O_APPEND) and stays the caller's: Close does not close it.
func BorrowFile(f *os.File) *File {
	return &File{f: f, path: f.Name(), borrowed: true, regular: true}
}

func (s *File) Write(line []byte) (int, error) {
	if s.shared != nil {
		if err := lock(s.f); err != nil {
			return 0, cause("locking", s.path, err)
		}
		defer unlock(s.f)
	}
	text := line
	if s.torn || s.shared != nil && s.shared != s.f && cutOff(s.shared) {
		text = append([]byte{'\n'}, line...)
	}
	n, err := s.f.Write(text)
	if err == nil {
		s.torn = false
		return len(line), nil
	}
	if n > 0 {
		s.torn = !s.takeBack(int64(n))
	}
	err = cause("writing", s.path, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("sink full: %w", err) // the documented words
	}
	return 0, err
}

// takeBack removes the last n bytes, which a write that failed has left. Nobody else writes: the file is ours or locked.
func (s *File) takeBack(n int64) bool {
	if !s.regular {
		return false
	}
	i, err := s.f.Stat()
	return err == nil && i.Size() >= n && s.f.Truncate(i.Size()-n) == nil
}

// cutOff reports whether the file does not end with a line feed.
func cutOff(f *os.File) bool {
	i, err := f.Stat()
	if err != nil || i.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], i.Size()-1)
	return err == nil && last[0] != '\n'
}

// Sync is fsync(2), the first time also of the folder that names the file. Files that have nothing to sync, such as pipes and
// terminals, are no error.
func (s *File) Sync() error {
	err := s.f.Sync()
	if err == nil && s.regular && !s.synced && !s.borrowed { // the folder of a borrowed file is its owner's matter
		var dir *os.File
		if dir, err = os.Open(filepath.Dir(s.path)); err == nil {
			err = errors.Join(dir.Sync(), dir.Close())
		}
		s.synced = err == nil
	}
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
	if s.shared != nil && s.shared != s.f {
		s.shared.Close()
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
