//go:build !unix

package record

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.New("run directories need flock(2)") }

func owner(os.FileInfo) (int, bool) { return 0, false }
