//go:build !unix

package evidence

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.New("shared files need flock(2)") }

func unlock(*os.File) {}
