//go:build !linux

package overlay

import "io/fs"

// There is no overlay file system to read here: folders are plain ones.
func whiteout(fs.FileInfo) bool { return false }

func (w *walker) opaque(string) bool { return false }
