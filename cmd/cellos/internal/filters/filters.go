package filters

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/sysabi"
)

const Usage = `usage: cellos seccomp list [--json] [--arch ARCH]
       cellos seccomp show [--format yaml|json|oci] [--arch ARCH] FILTER
       cellos seccomp compile [--format raw|hex|c|go|disasm] [--arch ARCH] [--output FILE] FILTER
       cellos seccomp check [--json] [--arch ARCH] FILTER...
       cellos seccomp disasm [--json] [--arch ARCH] FILTER
       cellos seccomp explain [--json] [--costs] [--arch ARCH] FILTER
       cellos seccomp simulate [--json] [--arch ARCH] FILTER CALL [ARGUMENT...]
       cellos seccomp diff [--json] [--arch ARCH] FILTER FILTER
       cellos seccomp learn [--json] [--policy FILE] [FLAGS OF cellos run] -- COMMAND [ARGUMENT...]

Filters of system calls: what is in the profiles, and what a filter of somebody else does before it is loaded. FILTER is a profile (baseline,
hardened, strict, with +net-none and +debug), or a file: a policy in YAML or JSON (docs/seccomp.md), linux.seccomp of the OCI runtime
specification, or a program of classic BPF; - is standard input. Nothing is loaded, and nothing but learn runs anything.

  list      the profiles, their sizes and digests
  show      the policy, written out; --format oci is what container engines read
  compile   the program for the kernel; raw bytes unless --format says otherwise
  check     would the kernel take it, and does it do what its author thinks: findings with their severity
  disasm    the instructions, and what they mean
  explain   for each answer the calls, and the conditions on their arguments; --costs: what each call pays
  simulate  the answer to one call, and the instructions that led to it; CALL is a name or a number
  diff      the calls that two filters treat differently, each with an example, and which filter is the stricter one
  learn     run a command in a cell under hardened, see every call, and write the smallest policy on top of strict that lets it do the
            same again; standard output is the policy's, and what the command prints goes to standard error

  --arch    amd64, arm64 or riscv64; this machine's, if it is left out

exit status: 1 if check found an error or a warning, or if diff found a difference; 2 a mistake in a file or on the command line. learn ends
as cellos run does, with the status of the command.
`

var Words = []string{"list", "show", "compile", "check", "disasm", "explain", "simulate", "diff", "learn"}

var FlagNames = []string{"--json", "--arch", "--format", "--output", "--costs", "--policy"}

// A filterTool is one call of cellos seccomp: its flags, and where it writes.
type filterTool struct {
	env    cli.Environment
	ui     *cli.Console
	word   string
	json   bool
	arch   *sysabi.Arch
	format string
	output string
	costs  bool
}

// Command is the command seccomp, but for learn.
func Command(args []string, env cli.Environment, ui *cli.Console) error {
	if len(args) == 0 {
		return cli.NewMistake("what to do is missing", "cellos help seccomp").At("seccomp")
	}
	t := &filterTool{env: env, ui: ui, word: args[0]}
	args = args[1:]
	run := map[string]func(args []string) error{
		"list": t.list, "show": t.show, "compile": t.compile, "check": t.check, "disasm": t.disasm, "explain": t.explain, "simulate": t.simulate, "diff": t.diff,
	}[t.word]
	if t.word == "--help" || t.word == "-h" {
		_, err := io.WriteString(env.Out, Usage)
		return err
	}
	if run == nil {
		return cli.NewMistake("unknown word "+cli.Quote(t.word), "cellos help seccomp").At("seccomp")
	}
	rest, err := t.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, Usage)
		return err
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help seccomp").At("seccomp " + t.word)
	}
	return run(rest)
}

// parse reads the flags, before and between the arguments.
func (t *filterTool) parse(args []string) (rest []string, err error) {
	set := flag.NewFlagSet("seccomp", flag.ContinueOnError)
	arch := runtime.GOARCH
	set.StringVar(&arch, "arch", arch, "")
	if t.word != "show" && t.word != "compile" {
		set.BoolVar(&t.json, "json", false, "")
	}
	switch t.word {
	case "show":
		t.format = "yaml"
		set.StringVar(&t.format, "format", t.format, "")
		set.BoolFunc("json", "", func(string) error { t.format = "json"; return nil })
	case "compile":
		t.format = "raw"
		set.StringVar(&t.format, "format", t.format, "")
		set.StringVar(&t.output, "output", "", "")
	case "explain":
		set.BoolVar(&t.costs, "costs", false, "")
	}
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	for len(args) > 0 {
		// An argument of a system call may be negative, which is no flag.
		if number(args[0]) {
			rest, args = append(rest, args[0]), args[1:]
			continue
		}
		if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, errors.New(cli.FlagError(err.Error()))
		}
		if args = set.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	var known []string
	for _, a := range sysabi.Arches() {
		known = append(known, a.String())
	}
	if t.arch, _ = sysabi.ArchByName(arch); t.arch == nil {
		return nil, errors.New("--arch " + cli.Brief(arch) + ": the architectures are " + strings.Join(known, ", "))
	}
	return rest, nil
}

func number(s string) bool {
	return len(s) > 1 && s[0] == '-' && '0' <= s[1] && s[1] <= '9'
}

// one demands that there is one filter, and loads it.
func (t *filterTool) one(args []string) (*loaded, error) {
	if err := t.count(args, 1); err != nil {
		return nil, err
	}
	return t.load(args[0])
}

func (t *filterTool) count(args []string, n int) error {
	switch {
	case len(args) < n && n == 1:
		return t.mistake("a filter is missing", "a profile or a file: cellos help seccomp")
	case len(args) < n:
		return t.mistake(fmt.Sprintf("%d filters are needed", n), "each is a profile or a file: cellos help seccomp")
	case len(args) > n:
		return t.mistake("unexpected argument "+cli.Quote(cli.Brief(args[n])), "cellos help seccomp")
	}
	return nil
}

func (t *filterTool) mistake(text, hint string) error {
	return cli.NewMistake(text, hint).At("seccomp " + t.word)
}

// A loaded filter is a profile, a policy or a program.
type loaded struct {
	name    string
	policy  *seccomp.Policy // nil for a program
	program seccomp.Program // not checked
}

// load reads a filter, and compiles it if it is a policy.
func (t *filterTool) load(name string) (*loaded, error) {
	l, err := t.read(name)
	if err != nil {
		f := cli.Failure{Code: cli.ExitUsage}
		for _, e := range cli.Split(err) {
			f.Errs = append(f.Errs, fmt.Errorf("%s: %w", cli.Brief(name), e))
		}
		_, perr := seccomp.Profile(name)
		if _, serr := os.Lstat(name); perr != nil && serr != nil && name != "-" && !strings.Contains(name, "/") {
			f.Errs = []error{cli.NewMistake(cli.Quote(cli.Brief(name))+" is neither a profile nor a file", "the profiles are "+strings.Join(seccomp.Profiles(), ", ")+", with +net-none or +debug added")}
		}
		return nil, f
	}
	return l, nil
}

func (t *filterTool) read(name string) (*loaded, error) {
	l := &loaded{name: name}
	var err error
	if l.policy, err = seccomp.Profile(name); err != nil {
		var content []byte
		if name == "-" {
			content, err = io.ReadAll(io.LimitReader(t.env.In, policyfile.MaxSize+1))
			if len(content) > policyfile.MaxSize {
				err = fmt.Errorf("it has more than %d bytes", policyfile.MaxSize)
			}
		} else {
			content, err = seccomp.ReadPolicy(name, policyfile.MaxSize)
		}
		if err != nil {
			return nil, err
		}
		f, err := policyfile.Decode(name, content)
		if err != nil {
			return nil, err
		}
		for _, n := range f.Notes {
			t.ui.Note(name + ": " + n)
		}
		l.policy, l.program = f.Policy, f.Program
	}
	if l.policy != nil {
		if l.program, err = seccomp.Compile(l.policy, t.arch); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// valid is load, for what makes sense only for programs that the kernel takes.
func (t *filterTool) valid(name string) (*loaded, error) {
	l, err := t.load(name)
	if err != nil {
		return nil, err
	}
	if err := l.program.Check(); err != nil {
		return nil, cli.Failure{Code: cli.ExitUsage, Errs: []error{cli.NewMistake(fmt.Sprintf("%s: the kernel would not take it: %v", cli.Brief(name), err), "cellos seccomp check "+name+" says more")}}
	}
	return l, nil
}

// profileNames lists every profile with every addition.
func profileNames() []string {
	var names []string
	for _, p := range slices.Backward(seccomp.Profiles()) {
		for _, add := range []string{"", "+net-none", "+debug", "+net-none+debug"} {
			names = append(names, p+add)
		}
	}
	return names
}
