package cgroup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Look finds where groups can be made. asked is the folder that an operator named, which must then be the place; "" leaves the choice:
// the nearest group of version 2 at or above the caller's own that it may write, else, for root, the caller's own groups of version 1.
// An error means that the asked folder cannot be it, or that the kernel could not be asked.
func Look(asked string) (plan.Cgroups, error) {
	m, err := readMounts()
	if err != nil {
		return plan.Cgroups{}, fmt.Errorf("looking for control groups: %w", err)
	}
	g := plan.Cgroups{Asked: asked, Unique: unique()}
	if asked != "" {
		p, err := m.asked(asked)
		if err != nil {
			return g, err
		}
		g.Places = []plan.CgroupPlace{p}
		g.Why = asked + " has " + have(p.Dirs[0].Controllers) + " for groups in it, and in reach " + have(p.Dirs[0].Available)
		return g, nil
	}
	var why []string
	if two, err := m.version2(); err != nil {
		why = append(why, "version 2: "+err.Error())
	} else {
		g.Places = append(g.Places, two...)
		if len(two) > 0 {
			why = append(why, "version 2 has "+have(two[0].Dirs[0].Controllers)+" in "+two[0].Dirs[0].Path)
		}
	}
	if one, err := m.version1(); err != nil {
		why = append(why, "version 1: "+err.Error())
	} else {
		g.Places = append(g.Places, one)
	}
	g.Why = strings.Join(why, "; ")
	return g, nil
}

func have(controllers []string) string {
	if len(controllers) == 0 {
		return "no controllers"
	}
	return strings.Join(controllers, ", ")
}

// unique is a random UUID of version 4, the documented end of a group's name.
func unique() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// asked looks at the folder that an operator named.
func (m mounts) asked(dir string) (plan.CgroupPlace, error) {
	const name = "CELLOS_CGROUP_PARENT"
	dir = path.Clean(dir)
	if !path.IsAbs(dir) {
		return plan.CgroupPlace{}, fmt.Errorf("%s: %q is not absolute", name, dir)
	}
	switch v, err := sysabi.CgroupVersion(dir); {
	case err != nil:
		return plan.CgroupPlace{}, fmt.Errorf("%s: %s: %w", name, dir, err)
	case v != 2:
		return plan.CgroupPlace{}, fmt.Errorf("%s: %s is not on a cgroup2 file system", name, dir)
	}
	if err := writable(dir); err != nil {
		return plan.CgroupPlace{}, fmt.Errorf("%s: %s: %w", name, dir, err)
	}
	d, err := look2(dir)
	if err != nil {
		return plan.CgroupPlace{}, fmt.Errorf("%s: %w", name, err)
	}
	// A process is put into a group by whoever may write the nearest group that contains the old and the new one
	// (kernel/cgroup/cgroup.c: cgroup_procs_write_permission).
	if m.two != nil && m.two.dir() != "" {
		common := commonDir(m.two.dir(), dir)
		if err := sysabi.Writable(path.Join(common, "cgroup.procs"), false); err != nil {
			return plan.CgroupPlace{}, fmt.Errorf("%s: %s: cellos itself runs in %s, and may not move a process out of it (%s/cgroup.procs: %w)", name, dir, m.two.dir(), common, err)
		}
	}
	return plan.CgroupPlace{Version: 2, Dirs: []plan.CgroupDir{d}}, nil
}

func commonDir(a, b string) string {
	for a != b && a != "/" {
		if len(a) < len(b) {
			a, b = b, a
		}
		a = path.Dir(a)
	}
	return a
}

// writable reports whether groups can be made in a folder, and processes put into them.
func writable(dir string) error {
	if err := sysabi.Writable(dir, true); err != nil {
		return err
	}
	return sysabi.Writable(path.Join(dir, "cgroup.procs"), false)
}

// look2 reads which controllers a folder of version 2 has for groups made in it, and which it could have.
func look2(dir string) (plan.CgroupDir, error) {
	read := func(file string) ([]string, error) {
		b, err := sysabi.ReadKernelFile(path.Join(dir, file))
		return strings.Fields(string(b)), err
	}
	on, err := read("cgroup.subtree_control")
	if err != nil {
		return plan.CgroupDir{}, err
	}
	all, err := read("cgroup.controllers")
	if err != nil {
		return plan.CgroupDir{}, err
	}
	return plan.CgroupDir{Path: dir, Controllers: on, Available: slices.DeleteFunc(all, func(c string) bool { return slices.Contains(on, c) })}, nil
}

// version2 lists the groups at and above the caller's own that it may write, the nearest first.
func (m mounts) version2() ([]plan.CgroupPlace, error) {
	if m.two == nil {
		return nil, errors.New("it is not mounted")
	}
	dir := m.two.dir()
	if dir == "" {
		return nil, errors.New("cellos' own group is not in sight")
	}
	var list []plan.CgroupPlace
	for ; ; dir = path.Dir(dir) {
		if err := writable(dir); err != nil {
			if len(list) == 0 {
				return nil, fmt.Errorf("cellos' own group is not its to write (%s: %w)", dir, err)
			}
			return list, nil
		}
		d, err := look2(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, plan.CgroupPlace{Version: 2, Dirs: []plan.CgroupDir{d}})
		if dir == m.two.at {
			return list, nil
		}
	}
}

// version1 lists the caller's own group in each hierarchy that is of use.
func (m mounts) version1() (plan.CgroupPlace, error) {
	p := plan.CgroupPlace{Version: 1}
	if len(m.one) == 0 {
		return p, errors.New("it is not mounted")
	}
	if os.Geteuid() != 0 {
		return p, errors.New("its groups are root's")
	}
	for _, h := range m.one {
		use := slices.DeleteFunc(slices.Clone(h.controllers), func(c string) bool {
			return c != plan.Memory && c != plan.CPU && c != plan.PIDs && c != plan.Freeze
		})
		dir := h.dir()
		if len(use) == 0 || dir == "" || writable(dir) != nil {
			continue
		}
		p.Dirs = append(p.Dirs, plan.CgroupDir{Path: dir, Controllers: use})
	}
	slices.SortFunc(p.Dirs, func(a, b plan.CgroupDir) int { return strings.Compare(a.Path, b.Path) })
	if len(p.Dirs) == 0 {
		return p, errors.New("cellos' own groups are not its to write")
	}
	return p, nil
}

// gone reports whether an error says that a group is not there any more.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, sysabi.ENOENT) || errors.Is(err, sysabi.ENODEV)
}

// processes reads which processes are in a group.
func processes(dir string) ([]int, error) {
	b, err := sysabi.ReadKernelFile(filepath.Join(dir, "cgroup.procs"))
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []int
	for _, f := range bytes.Fields(b) {
		n, err := strconv.Atoi(string(f))
		if err != nil {
			return nil, fmt.Errorf("%s/cgroup.procs: %w", dir, err)
		}
		list = append(list, n)
	}
	return list, nil
}
