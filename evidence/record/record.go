// Package record keeps the directories in which runs leave their evidence:
//
//	<state>/runs/20261123T091233.552743Z-3f9a1c2e/
//	    document      the document's bytes as read
//	    plan.txt      the plan as explained to people
//	    plan.json     the same for programs
//	    cgroups       where the cell's control group is made, if it has one; written before it is made
//	    socket        the folder of the socket that serves the command's secrets, if it has one
//	    ahead         decisions on connections that may not be in the chain yet, while the run is alive and has a network
//	    events.jsonl  the chain of events; locked (flock) while the run is alive
//	    scratch/      what the run needs while it lives; gone after a proper end
//
//	state, err := record.StateDir(os.Getenv, os.Getuid(), os.TempDir())
//	dir, err := record.Create(state, evidence.NewID(), time.Now())
//	defer dir.Close()
//
// Everything is made with modes 0700 and 0600. The package never removes evidence, and it does not verify it.
package record

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
)

// Names in a run directory.
const (
	DocumentFile = "document"
	PlanText     = "plan.txt"
	PlanJSON     = "plan.json"
	EventsFile   = "events.jsonl"
	GroupsFile   = "cgroups" // the folders of the cell's control group, one a line
	FoldersFile  = "folders" // folders for temporary files that the run made outside, one a line
	AheadFile    = "ahead"   // what the network gate writes before the chain has it; package gate/wire

	scratchDir = "scratch"
	runsDir    = "runs"
	newPrefix  = ".new-" // a run directory that is not locked yet
)

// idTime is the first part of a run directory's name: sorting names sorts by start.
const idTime = "20060102T150405.000000Z"

// Dir is the directory of one run, locked until Close or the end of the process.
type Dir struct {
	id, path string
	events   *os.File // has the lock; nil: the run has no event file
}

// Create makes the directory of a new run, with an empty event file. run is its unique identity (evidence.Run.ID, a UUID),
// whose first eight digits end the directory's name. It appears under its name when it is locked already.
func Create(state, run string, now time.Time) (*Dir, error) {
	if len(run) < 8 || strings.ContainsAny(run[:8], "/.") {
		return nil, fmt.Errorf("creating a run directory: %q is no run identity", run)
	}
	runs := filepath.Join(state, runsDir)
	id := now.UTC().Format(idTime) + "-" + run[:8]
	fresh, path := filepath.Join(runs, newPrefix+id), filepath.Join(runs, id)
	err := os.Mkdir(fresh, 0o700)
	if errors.Is(err, os.ErrNotExist) { // the first run of all
		if err = os.MkdirAll(runs, 0o700); err == nil {
			err = os.Mkdir(fresh, 0o700)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("creating a run directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(fresh, EventsFile), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		if err = lock(f); err == nil {
			if _, err = os.Lstat(path); err == nil {
				err = fmt.Errorf("run directory %s: %w", path, os.ErrExist)
			} else {
				err = os.Rename(fresh, path)
			}
		}
		if err != nil {
			f.Close()
		}
	}
	if err != nil {
		os.RemoveAll(fresh) // made by us just now, holds an empty event file at most
		return nil, fmt.Errorf("creating a run directory: %w", err)
	}
	return &Dir{id, path, f}, nil
}

// ID returns the name of the directory, by which commands name the run.
func (d *Dir) ID() string { return d.id }

// Path returns the absolute path, if the state directory's was.
func (d *Dir) Path() string { return d.path }

// WriteFile writes a new file of the run, such as DocumentFile. A file that exists is an error.
func (d *Dir) WriteFile(name string, data []byte) error {
	if name != filepath.Base(name) {
		return fmt.Errorf("writing %q into a run directory: not a plain name", name)
	}
	f, err := os.OpenFile(filepath.Join(d.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the run record: %w", err)
	}
	return nil
}

// Ahead makes the file of what is written before the chain has it. It is the caller's to close.
func (d *Dir) Ahead() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, AheadFile), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the run record: %w", err)
	}
	return f, nil
}

// RemoveAhead removes that file: the chain has everything. That it is not there is no error.
func (d *Dir) RemoveAhead() error {
	if err := os.Remove(filepath.Join(d.path, AheadFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clearing the run record: %w", err)
	}
	return nil
}

// Events returns the sink that is the run's own record. It can be used until Close.
func (d *Dir) Events() *evidence.File { return evidence.BorrowFile(d.events) }

// Scratch returns the run's scratch directory, which it makes if need be. Whoever uses it removes it (RemoveScratch, after
// unmounting what is mounted there); after a crash Clean finds it.
func (d *Dir) Scratch() (string, error) {
	p := filepath.Join(d.path, scratchDir)
	if err := os.Mkdir(p, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("creating the scratch directory: %w", err)
	}
	return p, nil
}

// RemoveScratch removes the scratch directory and what is in it. That it is not there is no error.
func (d *Dir) RemoveScratch() error {
	if err := os.RemoveAll(filepath.Join(d.path, scratchDir)); err != nil {
		return fmt.Errorf("removing the scratch directory: %w", err)
	}
	return nil
}

// Sync makes what was written with WriteFile, the names in the directory, its own name, and that of the folder of all runs survive a crash of the
// machine. The event file is synced by its sink.
func (d *Dir) Sync() error {
	list, err := os.ReadDir(d.path)
	if err != nil {
		return fmt.Errorf("syncing the run directory: %w", err)
	}
	var paths []string
	for _, e := range list {
		if e.Type().IsRegular() && e.Name() != EventsFile {
			paths = append(paths, filepath.Join(d.path, e.Name()))
		}
	}
	runs := filepath.Dir(d.path)
	for _, p := range append(paths, d.path, runs, filepath.Dir(runs)) {
		f, err := os.Open(p)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return fmt.Errorf("syncing the run directory: %w", err)
		}
	}
	return nil
}

// Close closes the event file, and with it gives up the lock. Closing twice is no error.
func (d *Dir) Close() error {
	if d.events == nil {
		return nil
	}
	if err := d.events.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("closing the run directory: %w", err)
	}
	return nil
}
