package e2e

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

// onSecondKernel runs a test once for each user, on gVisor.
func onSecondKernel(t *testing.T, f func(t *testing.T, u user)) {
	t.Helper()
	for _, u := range everybody() {
		if u.backend == "gvisor" {
			t.Run(u.name, func(t *testing.T) {
				t.Parallel()
				f(t, u)
			})
		}
	}
}

// TestSecondKernel: the command talks to gVisor's kernel, the record says so, and is good.
func TestSecondKernel(t *testing.T) {
	onSecondKernel(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		out := b.sh("dmesg | head -n 1; cat /proc/version", "--seccomp", "baseline").ok(t)
		if host, err := os.ReadFile("/proc/version"); err != nil || !strings.Contains(out, "Starting gVisor") || strings.Contains(out, string(host)) {
			t.Errorf("%q, %v", out, err)
		}
		b.cellos("verify", "last").ok(t)
		events := b.cellos("show", "--events", "last").ok(t)
		for _, want := range []string{`"backend":"gvisor"`, `"platform":"systrap"`, `"name":"second kernel"`} {
			if !strings.Contains(events, want) {
				t.Errorf("the events do not say %s", want)
			}
		}
	})
}

// TestWhatGVisorLacks: a system call that gVisor does not have is in the record, with what would have it.
func TestWhatGVisorLacks(t *testing.T) {
	needs(t, "python3")
	if runtime.GOARCH != "amd64" {
		t.Skip("the number is amd64's")
	}
	onSecondKernel(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		// 449: futex_waitv, arch/x86/entry/syscalls/syscall_64.tbl.
		b.cell([]string{"--seccomp", "baseline"}, "/usr/bin/python3", "-c", "import ctypes; ctypes.CDLL(None).syscall(449, 0, 0, 0, 0, 0)").ok(t)
		shown := b.cellos("show", "last").ok(t)
		if !strings.Contains(shown, "futex_waitv, which gVisor lacks") || !strings.Contains(shown, "--backend process") {
			t.Errorf("show says\n%s", shown)
		}
	})
}

// TestNoRunsc: what is missing, or wrong with the one that was named, is said with the remedy, before anything starts.
func TestNoRunsc(t *testing.T) {
	onSecondKernel(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		for named, want := range map[string]string{"/nothing/there": "runsc at /nothing/there: opening it: no such file", "/bin/sh": "it is not statically linked", b.dir: "it is no regular file"} {
			here := *b
			here.env = append(append([]string{}, b.env...), "CELLOS_RUNSC="+named)
			r := here.sh("echo ran")
			r.fails(t, 125, want, "cellos: hint: sh backend/gvisor/runsc/build.sh builds the one")
			if r.out != "" {
				t.Errorf("%s: it ran", named)
			}
		}
		b.cell([]string{"--memory", "31MiB"}, "true").fails(t, 125, "too little for gVisor's kernel and a command; at least 32 MiB")
	})
}

// TestAStoppedFirstProcess: where a command could stop or kill PID 1, its time limit would still end it; it cannot.
func TestAStoppedFirstProcess(t *testing.T) {
	onSecondKernel(t, func(t *testing.T, u user) {
		b := newBench(t, u)
		r := b.sh("kill -STOP 1; kill -KILL 1; echo alive; sleep 1000", "--time", "2s", "--grace", "1s")
		r.fails(t, 124)
		if r.out != "alive\n" {
			t.Errorf("%q", r.out)
		}
	})
}
