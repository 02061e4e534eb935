package host

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// Cells that root starts run as a uid from this range, a new one for each: above the ranges that systemd gives to containers
// (up to 1879048191, systemd.io/UIDS-GIDS), below the 2^31 at which programs start to print negative numbers.
const (
	firstCellID = 0x7000_0000
	cellIDs     = 0x0fff_0000
)

// Describe looks at the running kernel, at the calling process, at the system's own paths and at the given ones. It may be called concurrently.
//
// Private are folders and files of the supervisor's own that no cell may have; those that do not exist are left out.
func Describe(paths []string, private ...string) (plan.Host, error) {
	procs, err := sysabi.HardLimit(sysabi.RLIMIT_NPROC)
	if err != nil {
		return plan.Host{}, fmt.Errorf("asking for the limit of processes: %w", err)
	}
	core, err := sysabi.HardLimit(sysabi.RLIMIT_CORE)
	if err != nil {
		return plan.Host{}, fmt.Errorf("asking for the limit of core dumps: %w", err)
	}
	release, err := sysabi.Release()
	if err != nil {
		return plan.Host{}, fmt.Errorf("asking for the kernel's release: %w", err)
	}
	open, err := sysabi.HardLimit(sysabi.RLIMIT_NOFILE)
	if err != nil {
		return plan.Host{}, fmt.Errorf("asking for the limit of open files: %w", err)
	}
	h := plan.Host{
		Arch:     runtime.GOARCH,
		Kernel:   ParseVersion(release),
		UID:      uint32(os.Geteuid()),
		GID:      uint32(os.Getegid()),
		LastCap:  uint8(number("/proc/sys/kernel/cap_last_cap", 40)),
		Landlock: sysabi.LandlockABI(),
		Seccomp:  sysabi.SeccompFilters(),
		OpenMax:  open,
		CoreMax:  core,
		ProcMax:  procs,
		Entries:  make(map[string]plan.Entry, len(paths)),
	}
	h.UserNS = userNS(h.Root())
	if h.Root() {
		var b [4]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		h.CellID = firstCellID + binary.LittleEndian.Uint32(b[:])%cellIDs
	}
	for _, p := range plan.SystemPaths() {
		h.Entries[p] = look(p)
	}
	for _, p := range paths {
		h.Entries[p] = follow(p, look(p))
	}
	for _, p := range private {
		real, err := filepath.EvalSymlinks(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return plan.Host{}, fmt.Errorf("finding the supervisor's own files: %w", err)
		}
		h.Private = append(h.Private, real)
		h.Entries[real] = follow(real, look(real))
	}
	names, err := readNames("/etc")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return plan.Host{}, err
	}
	slices.Sort(names)
	for _, n := range names {
		if plan.EtcWanted(n) {
			h.Etc = append(h.Etc, n)
			if _, asked := h.Entries["/etc/"+n]; !asked { // a grant of it wants to know more
				h.Entries["/etc/"+n] = look("/etc/" + n)
			}
		}
	}
	return h, nil
}

// look looks at one path, and follows no link.
func look(path string) plan.Entry {
	fi, err := os.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return plan.Entry{}
		}
		return plan.Entry{Kind: plan.Unknown, Err: cause(err)}
	}
	e := plan.Entry{Kind: kind(fi.Mode()), Mode: uint32(fi.Mode().Perm())}
	for _, x := range []struct {
		bit fs.FileMode
		is  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if fi.Mode()&x.bit != 0 {
			e.Mode |= x.is
		}
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = st.Uid, st.Gid
	}
	if e.Kind == plan.Symlink {
		e.Target, _ = os.Readlink(path)
	}
	return e
}

// follow adds where a path leads when every link in it is followed.
func follow(path string, e plan.Entry) plan.Entry {
	if e.Kind == plan.Missing || e.Kind == plan.Unknown {
		return e
	}
	var err error
	if e.Real, err = filepath.EvalSymlinks(path); err != nil {
		e.Real = ""
	}
	if err := sysabi.Readable(path, e.Kind == plan.Directory); err != nil && e.Kind != plan.Symlink {
		return plan.Entry{Kind: plan.Unknown, Err: err.Error()}
	}
	return e
}

func kind(m fs.FileMode) plan.Kind {
	switch m.Type() {
	case 0:
		return plan.Regular
	case fs.ModeDir:
		return plan.Directory
	case fs.ModeSymlink:
		return plan.Symlink
	}
	return plan.Other
}

// userNS returns why the calling user cannot make user namespaces, "" if nothing speaks against it. A seccomp filter of an
// outer container shows only when it is tried.
func userNS(root bool) string {
	if _, err := os.Lstat("/proc/self/ns/user"); err != nil {
		return "the kernel has none (CONFIG_USER_NS)"
	}
	if number("/proc/sys/user/max_user_namespaces", 1) == 0 {
		return "user.max_user_namespaces is 0"
	}
	if root {
		return ""
	}
	if number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0 {
		return "kernel.unprivileged_userns_clone is 0"
	}
	if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) != 0 {
		return "apparmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)"
	}
	return ""
}

// number reads a file that holds one integer; absent or unreadable files have the default value.
func number(path string, missing int) int {
	b, err := sysabi.ReadKernelFile(path)
	if err != nil {
		return missing
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return missing
	}
	return n
}

// ParseVersion reads the first two numbers of a release string; what follows differs by distribution.
func ParseVersion(release string) plan.Version {
	var v plan.Version
	major, rest, _ := strings.Cut(release, ".")
	v.Major, _ = strconv.Atoi(major)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	v.Minor, _ = strconv.Atoi(rest[:end])
	return v
}

func readNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", dir, err)
	}
	return names, nil
}

// cause strips the path that os errors repeat.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
