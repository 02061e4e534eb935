//go:build linux && (amd64 || arm64)

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
	"cellos.io/cellos/sysabi"
)

// prepare gets a machine that waits for its cell ready: it mounts the drives, and rehearses, so that the kernel and this program have done
// everything once, and an emulated processor has translated it.
func (m *machine) prepare(c guest.Config) error {
	begin := time.Now()
	if err := settle(c); err != nil {
		return err
	}
	places, err := m.disks.mount(c)
	if err != nil {
		return err
	}
	if err := m.rehearse(c, places); err != nil {
		return fmt.Errorf("rehearsing: %w", err)
	}
	runtime.GC() // what is left of it is not swept while a cell is built
	return m.say(guest.TypePrepared, guest.Prepared{Took: float64(time.Since(begin).Microseconds()) / 1000})
}

// rehearse makes the file tree in a mount namespace that a thread has for itself, builds and measures a cell there, and ends it. The command
// of the rehearsed plan does not exist: to release it is to try it, and nothing runs. The namespace and everything in it goes with the
// thread and the cell.
func (m *machine) rehearse(c guest.Config, places []string) error {
	p := c.Plan.Unpack()
	s, err := pipes(c, p)
	if err != nil {
		return err
	}
	defer s.close()
	built, err := onThread(func() (cell.Cell, error) {
		if err := sysabi.OwnMounts(); err != nil {
			return nil, fmt.Errorf("making a mount namespace: %w", err)
		}
		if err := tree(c, places); err != nil {
			return nil, err
		}
		readAhead()
		return buildAs(c, p, s.cell, nil)
	})
	s.closeInner()
	if err != nil {
		return err
	}
	defer built.Destroy()
	b, err := built.Measure(context.Background())
	if err == nil {
		err = b.Err()
	}
	if err != nil {
		return err
	}
	if _, err := json.Marshal(ready(b, m.took)); err != nil {
		return err
	}
	var start *cell.StartError
	if err := built.Release(context.Background()); !errors.As(err, &start) || !errors.Is(start.Err, sysabi.ENOENT) {
		return fmt.Errorf("trying the command that does not exist: %v", err)
	}
	return nil
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
