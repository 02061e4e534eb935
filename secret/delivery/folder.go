package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FolderPattern begins the name of the folder of a socket.
const FolderPattern = "cellos-rs-"

// SocketName is the name of the socket in its folder.
const SocketName = "broker.sock"

// maxName is what the name of a socket may have, in bytes: unix(7), sun_path without the NUL at its end.
const maxName = 107

// Folder makes a folder for a socket, which only the caller may enter.
func Folder(temp string) (string, error) {
	dir, err := os.MkdirTemp(temp, FolderPattern)
	if n := len(filepath.Join(dir, SocketName)); err == nil && n > maxName {
		os.Remove(dir)
		err = fmt.Errorf("the socket's name in %s would have %d bytes, and %d are possible (unix(7)): set TMPDIR to a shorter one", temp, n, maxName)
	}
	if err != nil {
		return "", fmt.Errorf("making the folder of the secrets' socket: %w", err)
	}
	return dir, nil
}

// RemoveFolder removes the folder with the socket. That it is gone is no error.
func RemoveFolder(dir string) error {
	for _, p := range []string{filepath.Join(dir, SocketName), dir} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the folder of the secrets' socket: %w", err)
		}
	}
	return nil
}
