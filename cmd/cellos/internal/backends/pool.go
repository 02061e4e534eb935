//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/host"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// PoolUsage is the help of the command pool.
const PoolUsage = `usage: cellos pool start [--size N] [--memory SIZE] [--cpus N] [--scratch SIZE] [--image IMAGE] [--quiet]
       cellos pool status [--json]
       cellos pool stop

Virtual machines that are booted and wait, so that a cell of cellos run --backend microvm --pool need not wait for a boot. Each is used by one
cell, and another one is booted in its place.

  start     boots them and gives them away until it is ended (in the foreground: let your service manager run it)
  status    how many are ready, and of what size they are
  stop      ends the pool of this user. Machines that were given away go on

  --size 2         how many wait
  --memory --cpus --scratch
                   as of cellos run: a machine is for cells that ask for the same memory and processors, and for as much scratch space or less
  --image IMAGE    the files that are read ahead; any cell may have another image, or none
  --quiet, -q      do not tell what happens
`

// PoolWords are what may follow the name of the command.
var PoolWords = []string{"start", "status", "stop"}

// PoolFlagNames are the flags, for completion.
var PoolFlagNames = []string{"--size", "--memory", "--cpus", "--scratch", "--image", "--quiet", "--json"}

// maxPool bounds the size of a pool: each machine has some hundred MiB.
const maxPool = 64

// poolDir is the folder of the pool's socket.
func poolDir(env cli.Environment) (string, error) {
	state, err := cli.StateDir(env)
	if err != nil {
		return "", cli.NewMistake("there is no place for the socket of a pool: "+err.Error(), "set CELLOS_STATE to a folder of your own")
	}
	return filepath.Join(state, "pool"), nil
}

// pooled is the backend of virtual machines, which come from a pool where the flag or its variable says so.
func pooled(flag string, env cli.Environment, strict bool) (Chosen, error) {
	if flag == "" {
		var err error
		if flag, err = env.Vars.Word(variable.MicroVMPool); err != nil {
			return Chosen{}, err
		}
	}
	if flag == PoolRequire {
		if err := canWait(env, strict); err != nil {
			return Chosen{}, err
		}
	}
	to, err := machines(env, strict)
	if err != nil || flag == "" {
		return to, err
	}
	dir, err := poolDir(env)
	if err != nil {
		return to, err
	}
	cells := to.Cells
	to.Cells = func(p process.Backend) cell.Backend {
		b := cells(p).(microvm.Backend)
		b.Pool = &microvm.Pooled{Dir: dir, Prefer: flag == PoolPrefer}
		return b
	}
	return to, nil
}

// canWait refuses a pool of machines that cannot be handed over, before anything is made or run for them.
func canWait(env cli.Environment, strict bool) error {
	m, err := chosenMonitor(env.Vars, strict)
	if err != nil {
		return err
	}
	if err := microvm.CanWait(m); err != nil {
		return cli.NewMistake("a pool: "+err.Error(), insteadOfFirecracker)
	}
	return nil
}

// Pool is the command pool.
func Pool(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("pool", flag.ContinueOnError)
	size := set.Int("size", 2, "")
	asJSON := set.Bool("json", false, "")
	set.BoolVar(&ui.Quiet, "quiet", false, "")
	set.BoolVar(&ui.Quiet, "q", false, "")
	image := set.String("image", "", "")
	var limits document.Limits
	bytes := func(name string, to **int64) {
		set.Func(name, "", func(v string) error {
			n, err := cli.ParseSize(v)
			*to = &n
			return err
		})
	}
	bytes("memory", &limits.MemoryMaxBytes)
	bytes("scratch", &limits.ScratchBytes)
	set.Func("cpus", "", func(v string) error {
		q, err := cli.ParseCPUs(v)
		period := int64(cli.CPUPeriod)
		limits.CPUMax = &document.CPUMax{QuotaMicros: q, PeriodMicros: &period}
		return err
	})
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	rest, _, err := cli.Parse(set, args)
	given := map[string]bool{}
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case errors.Is(err, flag.ErrHelp), verb == "--help":
		_, err := io.WriteString(env.Out, PoolUsage)
		return err
	case err != nil:
		return cli.NewMistake(err.Error(), "cellos help pool").At("pool")
	case len(rest) > 0:
		return cli.NewMistake("unexpected argument "+cli.Quote(rest[0]), "cellos help pool").At("pool " + verb)
	case verb != "start" && verb != "status" && verb != "stop":
		return cli.NewMistake("unknown command pool "+cli.Quote(verb), "start, status or stop").At("pool")
	case *size < 1 || *size > maxPool:
		return cli.NewMistake(fmt.Sprintf("--size %d: a pool has 1 to %d machines", *size, maxPool), "").At("pool")
	}
	for name := range given {
		if (name == "json") != (verb == "status") || verb == "stop" {
			return cli.NewMistake("--"+name+" does not go with pool "+verb, "cellos help pool").At("pool")
		}
	}
	dir, err := poolDir(env)
	if err != nil {
		return cli.Refusal(err)
	}
	if verb == "start" {
		return startPool(dir, *size, limits, *image, env, ui)
	}
	s, err := microvm.StatusOfPool(dir, verb == "stop")
	switch {
	case err != nil:
		return cli.Refusal(err)
	case *asJSON:
		return cli.WriteJSON(env.Out, s)
	case verb == "stop":
		return nil
	}
	ages, kernel := "", s.Kernel
	if len(s.Ages) > 0 {
		ages = ", since " + strings.Join(s.Ages, " and ")
	}
	if kernel == "" {
		kernel = "not looked at yet"
	}
	_, err = fmt.Fprintf(env.Out, "ready       %d of %d%s\nboot now    %d\ngiven away  %d\nmachines    %s, %d MiB, processors: %d, scratch space: %d MiB\nkernel      %s\nprocess     %d\n",
		s.Ready, s.Size, ages, s.Booting, s.Given, s.Monitor, s.Memory>>20, s.CPUs, s.Scratch>>20, kernel, s.PID)
	if err == nil && s.Failed != "" {
		_, err = fmt.Fprintf(env.Out, "failed      the last boot: %s\n", cli.OneLine(s.Failed))
	}
	return err
}

// startPool is the life of a pool.
func startPool(dir string, size int, limits document.Limits, image string, env cli.Environment, ui *cli.Console) error {
	if err := canWait(env, false); err != nil {
		return cli.Refusal(err)
	}
	to, err := machines(env, false)
	if err != nil {
		return cli.Refusal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	l, done, err := microvm.ListenPool(dir)
	if err != nil {
		return cli.Refusal(err)
	}
	defer done()
	p, err := rehearsed(to, limits, image, env)
	if err != nil {
		return cli.Failure{Code: cli.ExitRefused, Errs: cli.Split(err)}
	}
	b, ok := to.Cells(process.Backend{}).(microvm.Backend)
	if !ok {
		return errors.New("a pool of another backend")
	}
	pool := &microvm.Pool{Backend: b, Plan: p, Size: size, Log: ui.Note}
	if err := pool.Serve(ctx, l); err != nil {
		return cli.Refusal(err)
	}
	return nil
}

// rehearsed plans the cell that the pool's guests rehearse: one of a command with nothing but the system's files and an empty working
// directory, which nobody ever runs.
func rehearsed(to Chosen, limits document.Limits, image string, env cli.Environment) (*plan.Plan, error) {
	work, mode := "/work", string(authority.Empty)
	spec := document.Spec{ID: "rehearsal", Lifetime: document.Lifetime{TTLSeconds: 60},
		Run:       &document.Run{Argv: []string{"true"}, WorkingDirectory: &work, Limits: &limits, SecretDelivery: document.DeliverEnv},
		Authority: document.Authority{Filesystem: &document.Filesystem{WorkingDirectory: &mode}, EgressRules: []document.EgressRule{}}}
	if image != "" {
		spec.Environment = &document.Environment{ImageReference: image}
	}
	a, err := authority.Of(&document.Document{APIVersion: document.APIVersion, Kind: document.Kind, Spec: spec}, authority.Place{WorkingDirectory: work})
	if err != nil {
		return nil, err
	}
	h, err := host.Describe(plan.Paths(a), append(cli.Private(env), to.Own...)...)
	if err != nil {
		return nil, err
	}
	return to.Plan(a, h)
}
