package image

import (
	"errors"
	"syscall"
)

// A fullDisk is an error of a file system that has no room for an image.
type fullDisk struct {
	error
	dir string
}

func (e fullDisk) Unwrap() error { return e.error }

// Hint is the remedy.
func (e fullDisk) Hint() string {
	return "make room where " + e.dir + " lies (cellos image gc removes what no next run could use), or name another folder with CELLOS_IMAGES"
}

// noRoom adds the remedy to an error that says that the disk, or the user's part of it, is full.
func noRoom(err error, dir string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fullDisk{err, dir}
	}
	return err
}
