package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errLive says that a run directory is locked by a live process.
var errLive = errors.New("the run is alive")

// Crashed is the directory of a run whose process is gone, with what it left. It is locked while the callback of Clean
// looks at it.
type Crashed struct {
	Summary
	Dir     *Dir     // for RemoveScratch and Recover; closed after the callback
	Scratch string   // path of the scratch directory, or empty if there is none
	Groups  []string // folders of the control group that the run made, or was about to make
	Folders []string // outside of it that the run made: of the secrets' socket, of certificates
}

// Clean calls f for every run that is not alive and whose chain is open or whose scratch directory is still there. It
// removes nothing itself, except run directories without anything in them that a crash left while they were made. f
// decides what to remove (scratch) and to close (the chain); evidence stays. An error of f is reported for its run, and
// the others go on.
func Clean(state string, f func(Crashed) error) error {
	ids, err := names(state)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := clean(filepath.Join(state, runsDir, id), f); err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", id, err))
		}
	}
	return errors.Join(append(errs, unfinished(state))...)
}

func clean(path string, f func(Crashed) error) error {
	l, err := take(path)
	switch {
	case errors.Is(err, errLive):
		return nil
	case errors.Is(err, fs.ErrNotExist): // someone removed the events: whoever lives has them open
	case err != nil:
		return err
	}
	d := &Dir{filepath.Base(path), path, l}
	defer d.Close()
	c := Crashed{Summary: read(path, false), Dir: d}
	if i, err := os.Lstat(filepath.Join(path, scratchDir)); err == nil && i.IsDir() {
		c.Scratch = filepath.Join(path, scratchDir)
	}
	if b, err := os.ReadFile(filepath.Join(path, GroupsFile)); err == nil && unclosed(c.Status) {
		c.Groups = eachLine(b)
	}
	if b, err := os.ReadFile(filepath.Join(path, FoldersFile)); err == nil && unclosed(c.Status) {
		c.Folders = eachLine(b)
	}
	if c.Scratch == "" && !unclosed(c.Status) {
		return nil
	}
	return f(c)
}

func eachLine(b []byte) []string {
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// unclosed reports whether the record of a run that is not alive has no closing event.
func unclosed(s Status) bool { return s == Open || s == Empty }

// take locks the event file of an existing run directory.
func take(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, EventsFile), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// makingTime is how long a directory that has no final name yet is left alone: Create needs well under a millisecond
// to lock and to rename it.
const makingTime = time.Minute

// unfinished removes directories that Create did not get to rename. They hold an empty event file or nothing.
func unfinished(state string) error {
	list, err := os.ReadDir(filepath.Join(state, runsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		i, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), newPrefix) || time.Since(i.ModTime()) < makingTime {
			continue
		}
		p := filepath.Join(state, runsDir, e.Name())
		l, err := take(p)
		if errors.Is(err, errLive) {
			continue
		}
		if err == nil {
			if i, err := l.Stat(); err == nil && i.Size() == 0 {
				os.Remove(filepath.Join(p, EventsFile))
			}
			l.Close()
		}
		os.Remove(p) // not RemoveAll: only if it is empty
	}
	return nil
}
