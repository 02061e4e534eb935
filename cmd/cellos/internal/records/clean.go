package records

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"cellos.io/cellos/cgroup"
	"cellos.io/cellos/cmd/cellos/internal/certificates"
	"cellos.io/cellos/evidence/record"
	"cellos.io/cellos/secret/delivery"
)

// cleanGroups removes the control group that a run left whose supervisor died.
func cleanGroups(c record.Crashed, out io.Writer) error {
	if len(c.Groups) == 0 {
		return nil
	}
	removed, err := cgroup.Clean(c.Groups)
	if removed {
		fmt.Fprintf(out, "removed the control group of %s\n", c.ID)
	}
	return err
}

// cleanFolders removes the folders outside of its record that a run left whose supervisor died.
func cleanFolders(c record.Crashed) error {
	var errs []error
	for _, f := range c.Folders {
		switch name := filepath.Base(f); {
		case filepath.IsAbs(f) && strings.HasPrefix(name, delivery.FolderPattern):
			errs = append(errs, delivery.RemoveFolder(f))
		case filepath.IsAbs(f) && strings.HasPrefix(name, certificates.FolderPattern):
			errs = append(errs, certificates.Remove(f))
		default:
			errs = append(errs, fmt.Errorf("removing a folder of the run: %s is none that cellos makes", f))
		}
	}
	return errors.Join(errs...)
}
