package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// startProblem says why a command could not be started, and what would let it start.
func startProblem(e *cell.StartError, name string, a *authority.Authority, p *plan.Plan, search string) (text, hint string) {
	missing := errors.Is(e.Err, sysabi.ENOENT) || errors.Is(e.Err, sysabi.ENOTDIR)
	text = e.Path + ": " + e.Err.Error()
	if missing {
		text = name + ": not found in the cell"
	}
	switch {
	case errors.Is(e.Err, sysabi.ENOEXEC):
		return text, "it is no program for this machine, and names no interpreter (#!)"
	case errors.Is(e.Err, sysabi.E2BIG):
		return text, "the kernel takes arguments and environment of up to a quarter of the stack limit, and 128 KiB for one string (execve(2))"
	}
	found := onHost(name, p, search)
	fi, err := os.Stat(found)
	switch {
	case found == "" || err != nil:
		return text, ""
	case fi.IsDir():
		return text, found + " is a folder"
	case fi.Mode()&0o111 == 0:
		return text, found + " has no execute permission"
	}
	real, err := filepath.EvalSymlinks(found)
	if err != nil {
		return text, ""
	}
	if missing && shown(real, a) {
		// ENOENT of execve(2) for a file that is there means what runs it.
		loader := interpreter(real)
		if loader == "" {
			return name + ": the program that loads it is not in the cell", ""
		}
		text = name + ": its interpreter " + loader + " is not in the cell"
		if _, err := os.Stat(loader); err != nil {
			return text, "the host does not have it either"
		}
		return text, fmt.Sprintf("grant it with --exec %s (in a document: spec.authority.filesystem.exec)", path.Dir(loader))
	}
	dir := path.Dir(real)
	if strings.Contains(name, "/") || real != found {
		return text, fmt.Sprintf("the host has %s; grant it with --exec %s (in a document: spec.authority.filesystem.exec)", found, dir)
	}
	return text, fmt.Sprintf("the host has %s; grant it with --exec %s --env PATH=%s:%s (in a document: spec.authority.filesystem.exec)", found, dir, dir, authority.Path)
}

// onHost is what the host would run, found as the caller's shell finds it; "" if it finds nothing.
func onHost(name string, p *plan.Plan, search string) string {
	if path.IsAbs(name) {
		return name
	}
	if strings.Contains(name, "/") {
		return path.Join(p.Work.Path, name)
	}
	if search == "" {
		return ""
	}
	for _, dir := range filepath.SplitList(search) {
		if fi, err := os.Stat(path.Join(dir, name)); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 && path.IsAbs(dir) {
			return path.Join(dir, name)
		}
	}
	return ""
}

// shown reports whether a file of the host has the same name in the cell.
func shown(file string, a *authority.Authority) bool {
	if a.Work.Mode != authority.Empty && authority.Below(file, a.Work.Path) || authority.Below(file, "/usr") {
		return true
	}
	return slices.ContainsFunc(a.Files, func(g authority.Grant) bool { return g.At == g.Host && authority.Below(file, g.At) })
}

// interpreter reads the interpreter that a script names; "" if the file is no script.
func interpreter(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	// 255 bytes are what the kernel reads of the line (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h).
	line, err := bufio.NewReader(io.LimitReader(f, 255)).ReadString('\n')
	rest, script := strings.CutPrefix(line, "#!")
	words := strings.Fields(rest)
	if err != nil && err != io.EOF || !script || len(words) == 0 {
		return ""
	}
	return words[0]
}
