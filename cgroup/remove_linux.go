package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// emptyTime bounds the wait for killed processes to be gone. A process that is being killed needs microseconds, unless it writes a large
// core or waits for a disk.
const emptyTime = 5 * time.Second

// Kill ends every process of the group with SIGKILL; they cannot make new ones meanwhile. It does not wait for their end.
func (g *Group) Kill() error { return kill(g.made) }

// Remove kills what is in the group and removes it. left names what could not be removed, with the processes in it. Calling it again does
// nothing.
func (g *Group) Remove() (left []string, err error) {
	if g.dir != nil {
		g.dir.Close()
	}
	if g.oom != nil {
		g.oom.Close()
		<-g.done
	}
	return remove(g.made)
}

// Clean removes what a crash left: groups whose folders were written down before they were made. A path that is no control group of a cell
// is left alone and is an error; one that is not there is none. removed tells whether there was anything.
func Clean(paths []string) (removed bool, err error) {
	for _, p := range paths {
		if !strings.HasPrefix(path.Base(p), "cellos_") || !path.IsAbs(p) || path.Clean(p) != p {
			return false, fmt.Errorf("removing a control group: %s is not one of a cell", p)
		}
		v, err := sysabi.CgroupVersion(p)
		if gone(err) {
			continue
		}
		if err != nil || v == 0 {
			return false, fmt.Errorf("removing a control group: %s is not one (%v)", p, err)
		}
		removed = true
	}
	left, err := remove(paths)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("removing a control group: %s", strings.Join(left, "; "))
	}
	return removed && err == nil, err
}

func remove(paths []string) (left []string, err error) {
	busy := func() (list []string) {
		for _, p := range paths {
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				list = append(list, p)
			}
		}
		return list
	}
	if paths = busy(); len(paths) == 0 {
		return nil, nil
	}
	deadline := time.Now().Add(emptyTime)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if err := kill(paths); err != nil {
			return paths, err
		}
		if paths = busy(); len(paths) == 0 {
			return nil, nil
		}
		if time.Now().After(deadline) {
			break
		}
		time.Sleep(pause)
	}
	for _, p := range paths {
		list, err := processes(p)
		switch {
		case err != nil:
			left = append(left, p+": "+err.Error())
		case len(list) > 0:
			left = append(left, fmt.Sprintf("%s with processes %v", p, list))
		default:
			left = append(left, p)
		}
	}
	return left, nil
}

// kill ends what is in the groups. Version 2 does that in one step (Linux 5.14); in version 1 the freezer keeps processes from making new
// ones while they are killed, where there is one.
func kill(paths []string) error {
	for _, p := range paths {
		switch err := write(path.Join(p, "cgroup.kill"), "1"); {
		case err == nil:
			continue
		case !gone(err):
			return fmt.Errorf("killing the control group: %w", err)
		}
		freezer := path.Join(p, "freezer.state")
		if err := write(freezer, "FROZEN"); err == nil {
			defer write(freezer, "THAWED") // a frozen process takes the signal when it goes on
		}
	}
	for _, p := range paths {
		list, err := processes(p)
		if err != nil {
			return fmt.Errorf("killing the control group: %w", err)
		}
		for _, pid := range list {
			killMember(pid, p)
		}
	}
	return nil
}

// killMember kills a process if it is in the group. The process is held by a descriptor before it is looked at again, so that a number that
// was given to another one meanwhile hurts nobody (os.Process, pidfd_open(2)).
func killMember(pid int, dir string) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer p.Release()
	text, err := sysabi.ReadKernelFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err == nil && strings.Contains(string(text), "/"+path.Base(dir)) {
		p.Kill()
	}
}

// watch asks the kernel to tell when the memory of a group of version 1 is used up; see "OOM Control" in
// Documentation/admin-guide/cgroup-v1/memory.rst.
func (g *Group) watch(dir string) error {
	fd, err := sysabi.EventFD()
	if err != nil {
		return err
	}
	g.oom = os.NewFile(uintptr(fd), "out of memory")
	g.done = make(chan struct{})
	close(g.done)
	control, err := os.Open(path.Join(dir, "memory.oom_control"))
	if err != nil {
		return err
	}
	defer control.Close()
	return write(path.Join(dir, "cgroup.event_control"), fmt.Sprintf("%d %d", fd, control.Fd()))
}

// OnOutOfMemory calls f when the memory of a group of version 1 is used up for the first time. In version 2 the kernel ends every process of
// the group itself, and f is never called. Precondition: it is called once, and not after Remove.
func (g *Group) OnOutOfMemory(f func()) {
	if g.oom == nil {
		return
	}
	g.done = make(chan struct{})
	go func() {
		defer close(g.done)
		var b [8]byte
		if _, err := g.oom.Read(b[:]); err != nil {
			return
		}
		if n, err := processes(g.plan.Dir(plan.Memory)); err == nil && len(n) > 0 { // the removal of a group wakes its watchers too
			g.told.Store(true)
			f()
		}
	}()
}
