package supervisor

import (
	"fmt"
	"syscall"
)

// signalName is the name of a signal as signal(7) has it: "SIGKILL".
func signalName(s syscall.Signal) string {
	names := [...]string{"", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
		"SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG",
		"SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"}
	if s > 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("signal %d", int(s))
}
