package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// everywhere runs a test once for each user and each backend that promises the same: what is true of a cell of Linux processes is true of
// one on gVisor.
func everywhere(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	each(t, f)
	if testing.Short() {
		return // the second kernel takes its time
	}
	for _, u := range users() {
		u.backend = "gvisor"
		t.Run("gvisor "+u.name, func(t *testing.T) {
			t.Parallel()
			f(t, u)
		})
	}
}

// on puts the user's backend on a command line of cellos.
func (u user) on(args []string) []string {
	if u.backend == "" || len(args) == 0 || args[0] != "run" && args[0] != "explain" {
		return args
	}
	return append([]string{args[0], "--backend", u.backend}, args[1:]...)
}

// theRunsc is the tree's runsc where every user can start it; root's cells are another user's.
var theRunsc = sync.OnceValues(func() (string, error) {
	from := os.Getenv("CELLOS_RUNSC")
	if from == "" {
		from = "../libexec/cellos/runsc"
	}
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	to := filepath.Join(filepath.Dir(binary), "runsc")
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(out, in); err != nil {
		return "", err
	}
	return to, out.Close()
})

// runsc is the path of that copy; empty if there is none.
func runsc(t *testing.T) string {
	t.Helper()
	p, err := theRunsc()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ""
	case err != nil:
		t.Fatal(err)
	}
	return p
}
