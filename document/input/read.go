package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read returns what the file at path holds, or standard input for "-". It does not follow a symbolic link in the last
// component of path, refuses a directory, and reads no more than MaxBytes (it then returns an error), so that neither
// /dev/zero nor an endless pipe exhausts memory. A FIFO is read to its end.
func Read(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return limited("standard input", stdin)
	}
	name := fmt.Sprintf("%q", path)
	f, err := openNoFollow(path)
	if err != nil {
		var at *fs.PathError // its Path would repeat the name
		switch {
		case errors.Is(err, errLink):
			err = errLink
		case errors.As(err, &at):
			err = at.Err
		}
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("reading %s: is a directory", name)
	}
	return limited(name, f)
}

var errLink = errors.New("is a symbolic link, which is not followed")

func limited(name string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("reading %s: %s", name, tooLarge)
	}
	return data, nil
}

// isLink reports whether path itself is a symbolic link.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}
