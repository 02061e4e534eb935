package e2e

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// everybody is each user on each backend that promises the same: what is true of a cell of Linux processes is true of one on gVisor.
func everybody() []user {
	list := users()
	if testing.Short() {
		return list // the second kernel takes its time
	}
	for _, u := range users() {
		u.backend = "gvisor"
		list = append(list, u)
	}
	return list
}

// everywhere runs a test once for everybody.
func everywhere(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	for _, u := range everybody() {
		t.Run(strings.TrimSpace(u.backend+" "+u.name), func(t *testing.T) {
			t.Parallel()
			f(t, u)
		})
	}
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
