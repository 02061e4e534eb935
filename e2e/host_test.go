package e2e

import (
	"os"
	"syscall"
)

// owner is the uid of a file.
func owner(fi os.FileInfo) int {
	if fi == nil {
		return -1
	}
	return int(fi.Sys().(*syscall.Stat_t).Uid)
}
