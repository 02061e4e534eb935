//go:build linux && (amd64 || arm64)

package agent

import (
	"bytes"
	"os"
	"strconv"
)

// stall is the share of ten seconds, in percent, in which nothing got on for want of memory, from which on a process is ended for it.
const stall = 90

// relieve has the kernel end what holds the most memory, if nothing gets on without. Mostly it does so by itself, but not for an allocation
// that may not enter a file system (out_of_memory in mm/oom_kill.c): a command that fills the memory, and whose own program is to be read in
// again by way of data of EROFS that were dropped too, then tries for ever.
func relieve() {
	if text, err := os.ReadFile("/proc/pressure/memory"); err == nil && stalled(text) {
		os.WriteFile("/proc/sysrq-trigger", []byte("f"), 0)
	}
}

// stalled reads what the kernel says of the last ten seconds (Documentation/accounting/psi.rst).
func stalled(pressure []byte) bool {
	_, full, ok := bytes.Cut(pressure, []byte("full avg10="))
	share, _, _ := bytes.Cut(full, []byte(" "))
	percent, err := strconv.ParseFloat(string(share), 64)
	return ok && err == nil && percent >= stall
}
