//go:build linux

package gvisor

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Where runsc is looked for, in this order:
//
//  1. the path that the caller names (CELLOS_RUNSC, CELLOS_GVISOR_RUNSC_BIN): only there, if it names one
//  2. beside the cellos program
//  3. libexec/cellos beside it, and ../libexec/cellos
//  4. the folders of PATH
//
// The first file that is there counts; if it is unsuitable, that is an error, and no other one is tried.
func places(named, self, path string) []string {
	if named != "" {
		return []string{named}
	}
	var list []string
	if self != "" {
		dir := filepath.Dir(self)
		list = append(list, filepath.Join(dir, "runsc"), filepath.Join(dir, "libexec/cellos/runsc"), filepath.Join(filepath.Dir(dir), "libexec/cellos/runsc"))
	}
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			list = append(list, filepath.Join(dir, "runsc"))
		}
	}
	return list
}

// remedy is how to get a runsc that fits.
const remedy = "sh backend/gvisor/runsc/build.sh builds the one that belongs to this cellos"

// Least is the oldest release of runsc that has what cells need: --exec-fd, and the user namespaces of directfs.
const Least = 20260706

// An Unsuitable runsc cannot be used, or there is none.
type Unsuitable struct {
	Path   string // "" if there is none
	Reason string
	Remedy string
}

func (e *Unsuitable) Error() string {
	if e.Path == "" {
		return "finding runsc: " + e.Reason
	}
	return "runsc at " + e.Path + ": " + e.Reason
}

// Hint returns the remedy.
func (e *Unsuitable) Hint() string { return e.Remedy }

// Find finds runsc and checks everything about it that can be checked without running it. Named is the path that an operator chose, self
// that of the cellos program, path the variable PATH; cell says whether root will start cells, in which another user runs it. The file
// stays open: what was checked is what runs, whatever happens to the path.
func Find(named, self, path string, root bool) (*os.File, error) {
	for _, p := range places(named, self, path) {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) && named == "" {
			continue
		}
		if err != nil {
			return nil, &Unsuitable{p, "opening it: " + reason(err), remedy}
		}
		if err := suitable(f, root); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	return nil, &Unsuitable{Reason: "it is neither beside cellos, nor in libexec/cellos there, nor in PATH", Remedy: remedy + "; CELLOS_RUNSC names one elsewhere"}
}

// reason is the cause of an error about a path, without the path.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func suitable(f *os.File, root bool) error {
	fi, err := f.Stat()
	if err != nil {
		return &Unsuitable{f.Name(), reason(err), ""}
	}
	bad := func(reason, remedy string) error { return &Unsuitable{f.Name(), reason, remedy} }
	perm := fi.Mode().Perm()
	switch {
	case !fi.Mode().IsRegular():
		return bad("it is no regular file", remedy)
	case fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0:
		return bad("it is set-user-ID or set-group-ID, and would be somebody else than the cell", "chmod u-s,g-s "+f.Name())
	case root && perm&0o001 == 0 || perm&0o111 == 0:
		return bad("it is not executable"+map[bool]string{true: " by everybody: the cells that root starts are another user's"}[root], "chmod 755 "+f.Name())
	case perm&0o022 != 0:
		return bad(fmt.Sprintf("others may write it (mode %04o), so what was checked need not be what runs", perm), "chmod go-w "+f.Name())
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return bad("it is no program: "+err.Error(), remedy)
	}
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	if e.Machine != want {
		return bad(fmt.Sprintf("it is for another architecture (%v, this machine is %v)", e.Machine, want), remedy)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			return bad("it is not statically linked, and a cell holds no libraries for it", remedy)
		}
	}
	return nil
}
