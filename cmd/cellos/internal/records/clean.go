package records

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"cellos.io/cellos/cgroup"
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

// cleanSocket removes the socket's folder that a run left whose supervisor died.
func cleanSocket(c record.Crashed) error {
	if c.Socket == "" {
		return nil
	}
	if !filepath.IsAbs(c.Socket) || !strings.HasPrefix(filepath.Base(c.Socket), delivery.FolderPattern) {
		return fmt.Errorf("removing the socket of its secrets: %s is not one", c.Socket)
	}
	return delivery.RemoveFolder(c.Socket)
}
