//go:build linux && (amd64 || arm64)

package gvisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// note reads the end of a file that runsc wrote, which lies in the outer cell's memory: at most size bytes.
func (c *gvisorCell) note(name string, size int64) string {
	x, ok := c.outer.(interface{ State() *os.File })
	if !ok || x.State() == nil {
		return ""
	}
	raw, err := x.State().SyscallConn()
	if err != nil {
		return ""
	}
	var root *os.Root
	// The cell may be destroyed meanwhile: its folder stays open for as long as it is looked at, and not longer.
	if raw.Control(func(fd uintptr) { root, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", fd)) }) != nil || err != nil {
		return ""
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return ""
	}
	b, _ := io.ReadAll(io.NewSectionReader(f, max(0, fi.Size()-size), size))
	return string(b)
}

// log returns the last lines of runsc's log. Warnings about speed say nothing of an end.
func (c *gvisorCell) log() string {
	var keep []string
	for line := range strings.Lines(c.note(plan.SandboxLog, tailSize)) {
		if !strings.HasPrefix(line, "I") && !strings.HasPrefix(line, "D") && !strings.Contains(line, "slow") && !strings.Contains(line, "io_uring") {
			keep = append(keep, line)
		}
	}
	return lastLines(strings.Join(keep, ""))
}

// Meter tells which system calls the command made that gVisor does not have, or not in that form: it notes each once.
func (c *gvisorCell) Meter(u *evidence.Usage) {
	for _, call := range unsupported(c.note(plan.SandboxUnsupported, 1<<20), c.plan.Arch) {
		u.Deny(evidence.DeniedSyscall, call+", which gVisor lacks", "--backend process")
	}
}

// unsupported takes the names out of runsc's log for users: lines of JSON, {"log": "compat.go:120] Unsupported syscall NAME(0x1,…). …"}, from
// runsc/boot/compat.go, where NAME is sys_449 if gVisor does not know it.
func unsupported(text, arch string) (calls []string) {
	a, _ := sysabi.ArchByName(arch)
	for line := range strings.Lines(text) {
		var entry struct{ Log string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue // cut off
		}
		_, rest, ok := strings.Cut(entry.Log, "Unsupported syscall ")
		name, _, ok2 := strings.Cut(rest, "(")
		if !ok || !ok2 || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			continue
		}
		if nr, err := strconv.ParseUint(strings.TrimPrefix(name, "sys_"), 10, 16); err == nil && a != nil {
			if known, ok := a.Name(int(nr)); ok {
				name = known
			}
		}
		if name != "rseq" { // the C library asks for it at the start of every program, and needs no answer
			calls = append(calls, name)
		}
	}
	return calls
}
