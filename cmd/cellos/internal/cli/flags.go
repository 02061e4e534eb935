package cli

import (
	"errors"
	"flag"
	"io"
	"strings"
)

// Parse reads the flags before the first argument or "--", and returns what follows. Dashed is true when "--" ended them.
func Parse(set *flag.FlagSet, args []string) (rest []string, dashed bool, err error) {
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	flags, command := args, []string(nil)
	for i, a := range args {
		if a == "--" {
			flags, command, dashed = args[:i], args[i+1:], true
			break
		}
	}
	// A value may be "--" only as --flag=--; an argument before "--" is taken with those behind it.
	if err := set.Parse(flags); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, false, flag.ErrHelp
		}
		return nil, false, errors.New(FlagError(err.Error()))
	}
	rest = set.Args()
	if dashed {
		if len(rest) > 0 {
			return nil, true, errors.New("unexpected argument " + Quote(rest[0]) + " before --")
		}
		return command, true, nil
	}
	// Flags after an argument are a mistake, not arguments: nothing is silently ignored.
	for _, a := range rest[min(1, len(rest)):] {
		return nil, false, errors.New("unexpected argument " + Quote(a))
	}
	return rest, false, nil
}

// FlagError puts the messages of package flag into the words of this program.
func FlagError(s string) string {
	s = strings.Replace(s, "flag provided but not defined: -", "unknown flag --", 1)
	s = strings.Replace(s, "flag needs an argument: -", "a value is missing after --", 1)
	if rest, ok := strings.CutPrefix(s, "invalid value "); ok {
		// invalid value "x" for flag -time: cause
		value, rest, _ := strings.Cut(rest, " for flag -")
		name, cause, _ := strings.Cut(rest, ": ")
		return "--" + name + " " + Brief(value) + ": " + cause
	}
	if rest, ok := strings.CutPrefix(s, "invalid boolean value "); ok {
		value, rest, _ := strings.Cut(rest, " for -")
		name, _, _ := strings.Cut(rest, ": ")
		return "--" + name + " takes no value, not " + value
	}
	return strings.Replace(s, "--unknown flag ---", "unknown flag --", 1)
}
