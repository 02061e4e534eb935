//go:build linux && (amd64 || arm64)

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cellos.io/cellos/guest"
)

// prepare gets a machine that waits for its cell ready: it mounts the drives, and rehearses. A process of its own makes the file tree in a
// mount namespace of its own and builds and measures a cell there, so that the kernel has done all of it once, and an emulated processor
// has translated it. Nothing is released: no command runs, and everything of the rehearsal goes with its process.
func (m *machine) prepare(c guest.Config) error {
	begin := time.Now()
	if err := settle(c); err != nil {
		return err
	}
	places, err := m.disks.mount(c)
	if err != nil {
		return err
	}
	text, err := json.Marshal(rehearsal{c, places})
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{"/init"}
	cmd.Stdin = bytes.NewReader(text)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("rehearsing: %w: %s", err, guest.Clean(said.String(), 1000))
	}
	return m.say(guest.TypePrepared, guest.Prepared{Took: float64(time.Since(begin).Microseconds()) / 1000})
}

// A rehearsal is what its process is told.
type rehearsal struct {
	Config guest.Config
	Places []string
}

// rehearsed is the life of that process.
func rehearsed() {
	if err := rehearse(); err != nil {
		fmt.Fprint(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func rehearse() error {
	var r rehearsal
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return err
	}
	if err := tree(r.Config, r.Places); err != nil {
		return err
	}
	p := r.Config.Plan.Unpack()
	s, err := pipes(r.Config, p)
	if err != nil {
		return err
	}
	built, err := build(r.Config, p, s.cell, nil)
	s.closeInner()
	if err != nil {
		return err
	}
	defer built.Destroy()
	b, err := built.Measure(context.Background())
	readAhead()
	return errors.Join(err, b.Err())
}

// readAhead puts into the kernel's cache what nearly every command of the system needs first: the shell, the loader and the C library. They
// are read, not run.
func readAhead() {
	for _, pattern := range []string{"/bin/sh", "/lib/ld-*", "/lib64/ld-*", "/lib/*/ld-*", "/lib/*/libc.so*", "/lib64/libc.so*", "/lib/*/libtinfo.so*", "/usr/bin/env"} {
		names, _ := filepath.Glob(pattern) // the pattern is good
		for _, n := range names {
			if f, err := os.Open(n); err == nil {
				io.Copy(io.Discard, io.LimitReader(f, 8<<20))
				f.Close()
			}
		}
	}
}
