package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile writes a file that cellos run then takes: for its owner alone to write. It follows no link and replaces a file as a whole.
func WriteFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".cellos-*")
	if err == nil {
		_, err = f.Write(content)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = os.Chmod(f.Name(), 0o644)
		}
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		return Failure{Code: ExitUsage, Errs: []error{fmt.Errorf("writing %s: %w", name, err)}}
	}
	return nil
}

// ReadSmall reads a regular file of up to 1 MiB.
func ReadSmall(file string) ([]byte, os.FileMode, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, 0, err
	}
	defer f.Close()
	i, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, err
	case !i.Mode().IsRegular():
		return nil, 0, errors.New("it is no regular file")
	case i.Size() > 1<<20:
		return nil, 0, errors.New("it is longer than 1 MiB")
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return text, i.Mode().Perm(), err
}
