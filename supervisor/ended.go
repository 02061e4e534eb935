package supervisor

import (
	"fmt"
	"strings"
	"syscall"

	"cellos.io/cellos/evidence"
)

// exitCode is the documented one: -1 for a signal, a time limit, or a command that could not be started.
func (l *life) exitCode() int {
	if !l.ran || l.spawn != nil || l.outcome.Signal != 0 || l.why.reason() != byItself {
		return -1
	}
	return l.outcome.Code
}

// terminalState says of a backend with a kernel of its own whether it told how the command ended: "clean", else "forced".
func (l *life) terminalState() string {
	switch {
	case l.Plan.Backend == "process" || !l.ran:
		return ""
	case l.spawn == nil && l.outcome.Signal == 0 && l.outcome.Code >= 0 && l.why.reason() == byItself:
		return "clean"
	}
	return "forced"
}

func (l *life) spawnError() string {
	switch {
	case l.withheld:
		return ""
	case l.ran && (l.why.reason() == byTime || l.why.reason() == byOutput):
		return l.limit().Error()
	case l.ran:
		return ""
	case l.spawn != nil:
		return l.spawn.Error()
	case l.err != nil:
		return l.err.Error()
	}
	return ""
}

// reason says why the run failed; "" if it did not.
func (l *life) reason() string {
	switch {
	case l.ran && l.err == nil && l.outcome.Signal != 0:
		return "command exited with status -1" // which signal, the command event tells
	case l.ran && l.err == nil && l.outcome.Code != 0:
		return fmt.Sprintf("command exited with status %d", l.outcome.Code)
	case l.err != nil:
		text := strings.ReplaceAll(l.err.Error(), "\n", "; ")
		if l.spawnError() != "" {
			return "command spawn: " + text
		}
		return text
	}
	return ""
}

func (l *life) commandEvent() evidence.Command {
	o := l.outcome
	c := evidence.Command{
		Outcome:       evidence.OutcomeExited,
		DurationNanos: o.Duration.Nanoseconds(), UserNanos: o.User.Nanoseconds(), SystemNanos: o.System.Nanoseconds(),
		MaxRSSBytes: o.MaxRSS, ReadBlocks: o.Read, WrittenBlocks: o.Written,
	}
	if o.Tasks > 0 {
		c.Details = map[string]any{"tasksStarted": o.Tasks}
	}
	counted(&c, o.Group)
	if l.Authority.Scrub != "" {
		c.OutputReplaced = number(l.Known.Replaced())
	}
	switch {
	case !l.ran:
		return evidence.Command{Outcome: evidence.OutcomeNotStarted}
	case l.why.reason() == byTime:
		c.Outcome = evidence.OutcomeTimeout
	case l.why.reason() != byItself:
		c.Outcome = evidence.OutcomeCancelled
	case outOfMemory(o):
		c.Outcome = evidence.OutcomeOutOfMemory
	case o.Signal != 0:
		c.Outcome = evidence.OutcomeSignaled
	case o.Code < 0 || l.spawn != nil:
		c.Outcome = evidence.OutcomeCancelled // how it would have ended is not known; the cell was ended
		return c
	}
	if o.Signal != 0 {
		c.Signal = signalName(syscall.Signal(o.Signal))
	} else {
		c.ExitCode = &o.Code
	}
	return c
}
