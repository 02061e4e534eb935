package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// StateDir returns the directory under which runs are recorded, and makes it if need be:
//
//  1. $CELLOS_STATE, which must be absolute;
//  2. $XDG_STATE_HOME/cellos, where the variable is absolute (as the XDG base directory specification demands);
//  3. $HOME/.local/state/cellos;
//  4. <tempDir>/cellos-<uid>, where there is no home directory or nothing can be made in it.
//
// What it makes has mode 0700. What is there must be a directory and no symbolic link, belong to uid, and not be
// writable by others; in tempDir, where anyone can make names, it must be closed to others altogether. Otherwise the
// answer is an error and not the next place: a configured place that cannot be used is not passed over.
func StateDir(getenv func(string) string, uid int, tempDir string) (string, error) {
	if p := getenv("CELLOS_STATE"); p != "" {
		if !filepath.IsAbs(p) {
			return "", fmt.Errorf("CELLOS_STATE %q: not an absolute path", p)
		}
		return p, private(p, uid, 0o022)
	}
	if p := getenv("XDG_STATE_HOME"); filepath.IsAbs(p) {
		p = filepath.Join(p, "cellos")
		return p, private(p, uid, 0o022)
	}
	if p := getenv("HOME"); filepath.IsAbs(p) {
		p = filepath.Join(p, ".local", "state", "cellos")
		err := private(p, uid, 0o022)
		var refused *dirError
		if err == nil || errors.As(err, &refused) {
			return p, err
		}
	}
	p := filepath.Join(tempDir, "cellos-"+strconv.Itoa(uid))
	return p, private(p, uid, 0o077)
}

// dirError says why a directory that is there is not used.
type dirError struct{ path, why string }

func (e *dirError) Error() string { return "state directory " + e.path + ": " + e.why }

// private makes the directory p with mode 0700, or checks the one that is there. closed are the permission bits that it
// may not have.
func private(p string, uid int, closed fs.FileMode) error {
	i, err := os.Lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(p, 0o700); err == nil {
			i, err = os.Lstat(p) // again: in a place where others can make names it need not be ours
		}
	}
	if err != nil {
		return fmt.Errorf("creating the state directory: %w", err)
	}
	who, known := owner(i)
	switch {
	case i.Mode()&fs.ModeSymlink != 0:
		return &dirError{p, "is a symbolic link"}
	case !i.IsDir():
		return &dirError{p, "is not a directory"}
	case known && who != uid:
		return &dirError{p, fmt.Sprintf("belongs to uid %d, not to %d", who, uid)}
	case i.Mode().Perm()&closed != 0:
		return &dirError{p, fmt.Sprintf("has mode %04o; want 0700", i.Mode().Perm())}
	}
	return nil
}
