//go:build unix

package keys

import (
	"os"
	"syscall"
)

// owner returns the user id that a file belongs to.
func owner(i os.FileInfo) (int, bool) {
	st, ok := i.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}
