//go:build unix

package input

import (
	"os"
	"syscall"
)

// openNoFollow opens path for reading. open(2): with O_NOFOLLOW a symbolic link as last component fails with ELOOP (EMLINK
// on FreeBSD), which a loop of links in an earlier component does too; O_NOCTTY: a terminal does not become ours.
func openNoFollow(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NOCTTY, 0)
	if err != nil && isLink(path) {
		return nil, errLink
	}
	return f, err
}
