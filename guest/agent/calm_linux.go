//go:build linux && (amd64 || arm64)

package agent

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
)

// How long a sleep may last longer than asked, in nanoseconds: of the runtime's watcher, and of everything else
// (the kernel's own, init/init_task.c).
const (
	slack = 1000000
	usual = 50000
)

// calm has the runtime change threads less often, which an emulated processor pays for dearly. With one processor it takes that away from
// every thread whose system call lasts longer than 20 µs, and starts another, though nothing else is to be done; with two it does not.
// And its watcher (runtime.sysmon), the first thread after the main one, looks fifty times in a row, 20 µs apart, when work begins. On
// a kernel that does not let that thread oversleep it goes on as ever.
func calm() {
	runtime.GOMAXPROCS(max(2, runtime.NumCPU()))
	list, _ := os.ReadDir("/proc/self/task")
	var threads []int
	for _, x := range list {
		if n, err := strconv.Atoi(x.Name()); err == nil {
			threads = append(threads, n)
		}
	}
	slices.Sort(threads)
	if len(threads) > 1 {
		os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", threads[1]), []byte(strconv.Itoa(slack)), 0)
	}
}
