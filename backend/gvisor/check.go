//go:build linux

package gvisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"cellos.io/cellos/plan"
)

// A Program is a runsc that was checked. The file is what runs.
type Program struct {
	plan.Runsc
	File *os.File

	mu  sync.Mutex
	key string // identity of the file when its digest was known
}

// unchanged reports whether the file still is what was checked. Where its identity changed, which the removal of its name does as well, the
// digest decides. While it is executed nobody can write it (ETXTBSY, open(2)), so that asking once more when it runs leaves no time in which
// it could have been another.
func (p *Program) unchanged() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := identity(p.File)
	if err == nil && now == p.key {
		return nil
	}
	if sum, err := digest(p.File); err != nil || sum != p.SHA256 {
		return &Unsuitable{p.Path, "it changed after it was checked", "start again when nobody writes it any more"}
	}
	p.key = now
	return nil
}

// Check finds out what a runsc is: its version, by asking it, and its digest. Both are remembered in the folder cache, if that is not "",
// under everything that identifies an unchanged file (device, inode, size, and the times of the last change of content and inode, which
// nobody but the kernel sets): reading 80 MB takes longer than starting a cell. With Find it is all that a command that looks at a host has to show.
func Check(ctx context.Context, f *os.File, cache string) (*Program, error) {
	p := &Program{File: f, Runsc: plan.Runsc{Path: f.Name(), Platform: Systrap}}
	key, err := identity(f)
	if err != nil {
		return nil, err
	}
	p.key = key
	name := filepath.Join(cache, "runsc.json")
	if known, ok := recall(name, key); cache != "" && ok {
		p.Version, p.SHA256 = known.Version, known.SHA256
		return p, nil
	}
	if p.Version, err = version(ctx, f); err != nil {
		return nil, err
	}
	if p.SHA256, err = digest(f); err != nil {
		return nil, err
	}
	if now, err := identity(f); err != nil || now != key {
		return nil, &Unsuitable{f.Name(), "it changed while it was checked", "start again when nobody writes it any more"}
	}
	if cache != "" {
		remember(name, noted{key, p.Version, p.SHA256})
	}
	return p, nil
}

// Systrap is the platform that works everywhere: system calls are caught by a filter, and the sentry runs as an ordinary program.
const Systrap = "systrap"

// noted is what is remembered of one file.
type noted struct{ File, Version, SHA256 string }

func identity(f *os.File) (string, error) {
	fi, err := f.Stat()
	if err != nil {
		return "", &Unsuitable{f.Name(), reason(err), ""}
	}
	s := fi.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d:%d:%d.%09d:%d.%09d", s.Dev, s.Ino, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec), nil
}

func recall(name, key string) (n noted, ok bool) {
	b, err := os.ReadFile(name)
	return n, err == nil && json.Unmarshal(b, &n) == nil && n.File == key && len(n.SHA256) == 64 && n.Version != ""
}

// remember writes the note; a note that cannot be written costs the next start its time, nothing else.
func remember(name string, n noted) {
	b, err := json.Marshal(n)
	if err != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), "runsc-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
}

func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<40)); err != nil {
		return "", &Unsuitable{f.Name(), "reading it: " + reason(err), ""}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// versionTime bounds the question for the version: an answer takes milliseconds, on a machine that is out of breath seconds.
const versionTime = 10 * time.Second

// version asks runsc what it is. It gets no environment, no input, and nothing of the caller's output.
func version(ctx context.Context, f *os.File) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3", "--version")
	cmd.Args[0] = "runsc"
	cmd.ExtraFiles = []*os.File{f}
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return "", &Unsuitable{f.Name(), fmt.Sprintf("it does not tell its version in %v", versionTime), remedy}
	case err != nil:
		return "", &Unsuitable{f.Name(), "asking for its version: " + err.Error(), remedy}
	}
	first, _, _ := strings.Cut(string(out), "\n")
	v, ok := strings.CutPrefix(first, "runsc version ")
	if !ok || len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", &Unsuitable{f.Name(), fmt.Sprintf("it does not say that it is runsc, but %.80q", first), remedy}
	}
	day := regexp.MustCompile(`20[0-9]{6}`).FindString(v)
	if n, err := strconv.Atoi(day); err != nil || n < Least {
		return "", &Unsuitable{f.Name(), fmt.Sprintf("its version is %s; cells need one of %d or newer", v, Least), remedy}
	}
	return v, nil
}
