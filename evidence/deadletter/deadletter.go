// Package deadletter keeps events that a sink did not take in a folder, one file each, until somebody sends them again.
//
//	dir, err := deadletter.Open("/var/spool/cellos")
//	err = dir.Put(line, cause)           // what the sink would have got, and why it did not
//	letters, err := dir.Letters()        // in the order of the events
//	err = dir.Delivered(letters[0])      // renamed, and not listed any more
//
// A file holds one line, {"error":TEXT,"event":{…}}, and is there as a whole or not at all.
package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

const (
	suffix    = ".jsonl"
	delivered = ".delivered"
	temporary = ".new-"
)

// Dir is a folder of dead letters. Its methods may be called concurrently, by several processes too.
type Dir struct {
	path string
	now  func() time.Time
}

// Open returns the folder, which must exist and be writable: it is tried.
func Open(path string) (*Dir, error) {
	i, err := os.Stat(path)
	if err == nil && !i.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(path, temporary); err == nil {
			_, err = f.Write([]byte("\n"))
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("folder of dead letters %s: %w", path, reason(err))
	}
	return &Dir{path, time.Now}, nil
}

// reason is the error without the operation and the path that os adds.
func reason(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Path returns the folder.
func (d *Dir) Path() string { return d.path }

// Put keeps line, an event with or without its line feed, and why it was not taken. When Put returns it survives a crash of the machine.
func (d *Dir) Put(line []byte, why error) (err error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	e, err := evidence.ParseEvent(line)
	if err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	f, err := os.CreateTemp(d.path, temporary)
	if err != nil {
		return fmt.Errorf("dead letter in %s: %w", d.path, reason(err))
	}
	text := jsonwire.AppendString([]byte(`{"error":`), why.Error())
	text = append(append(append(text, `,"event":`...), line...), "}\n"...)
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	for ms := d.now().UnixMilli(); err == nil; ms++ {
		// Two sinks that do not take an event in the same millisecond leave two letters with names a millisecond apart.
		err = os.Link(f.Name(), filepath.Join(d.path, name(ms, e.ID)))
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		err = nil
	}
	os.Remove(f.Name())
	if err == nil {
		err = d.sync()
	}
	if err != nil {
		return fmt.Errorf("dead letter in %s: %w", d.path, reason(err))
	}
	return nil
}

func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// name is the documented name of a letter.
func name(ms int64, id string) string {
	clean := []byte(id)
	for i, c := range clean {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			clean[i] = '_'
		}
	}
	return strconv.FormatInt(ms, 10) + "-" + string(clean[:min(len(clean), 200)]) + suffix
}

// A Letter is an event that was not delivered.
type Letter struct {
	Path  string
	Error string // why
	Line  []byte // what the sink would have got, with its line feed
	Run   string // attribute cellosrun
	ms    int64
	seq   uint64
}

// Letters returns what is not delivered yet: runs in the order of their oldest letter, and the events of a run in theirs; an event that
// is there twice, for two sinks, is listed twice. Files that are no letters are named in the error; the letters are returned nevertheless.
func (d *Dir) Letters() ([]Letter, error) {
	list, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("dead letters in %s: %w", d.path, reason(err))
	}
	var letters []Letter
	var errs []error
	first := map[string]int64{}
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), suffix) || strings.HasPrefix(e.Name(), temporary) {
			continue
		}
		l, err := read(filepath.Join(d.path, e.Name()))
		if err != nil {
			errs = append(errs, fmt.Errorf("dead letter %s: %w", e.Name(), reason(err)))
			continue
		}
		if ms, seen := first[l.Run]; !seen || l.ms < ms {
			first[l.Run] = l.ms
		}
		letters = append(letters, l)
	}
	slices.SortStableFunc(letters, func(a, b Letter) int {
		switch {
		case a.Run != b.Run && first[a.Run] != first[b.Run]:
			return int(first[a.Run] - first[b.Run])
		case a.Run != b.Run:
			return strings.Compare(a.Run, b.Run)
		case a.seq != b.seq:
			return int(int64(a.seq) - int64(b.seq))
		}
		return int(a.ms - b.ms)
	})
	return letters, errors.Join(errs...)
}

// maxLetter is the length of a letter above which it is not read: an event, and what a server had to say to it.
const maxLetter = evidence.MaxLine + 1<<20

func read(path string) (l Letter, err error) {
	// The folder may be one where others write: no link is followed, and no FIFO waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return l, err
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return l, errors.New("no regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxLetter+1))
	if err != nil {
		return l, err
	}
	if len(text) > maxLetter {
		return l, errors.New("longer than 2 MiB")
	}
	members, err := canon.Object(nil, text)
	if err != nil {
		return l, err
	}
	l.Path = path
	for _, m := range members {
		switch m.Name {
		case "error":
			l.Error, _ = canon.String(m.Value)
		case "event":
			l.Line = append(bytes.Clone(m.Value), '\n')
		}
	}
	e, err := evidence.ParseEvent(bytes.TrimSuffix(l.Line, []byte("\n")))
	if err != nil {
		return l, err
	}
	l.Run, l.seq = e.Run, e.Sequence
	ms, _, _ := strings.Cut(filepath.Base(path), "-")
	l.ms, _ = strconv.ParseInt(ms, 10, 64)
	return l, nil
}

// Delivered marks a letter: its file gets another name, under which it stays.
func (d *Dir) Delivered(l Letter) error {
	if err := os.Rename(l.Path, l.Path+delivered); err != nil {
		return fmt.Errorf("marking %s as delivered: %w", l.Path, err)
	}
	return nil
}
