package main

import (
	"errors"
	"flag"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/image"
)

// A grants is what the flags of an ad-hoc run ask for. It becomes a document like any other: the same rules and the same record.
type grants struct {
	read, write, exec []grant
	work              string
	env               []string
	secrets           []grantedSecret
	badSecret         string // what is wrong with the way in which they were given; "": nothing
	limits            document.Limits
	set               bool // a flag was given that a document would contradict
	time              time.Duration
	seccomp           document.Seccomp // its zero value: not asked for
	user              *document.User
	tty               bool
	hostname, name    string
	image             string // --image
	network           netAsked
	clocks            bool
}

type grant struct{ flag, host, at string }

// adhocLifetime is the lifetime of a cell that is not given one: documents must have one, and nobody waits for a day.
const adhocLifetime = 24 * time.Hour

func grantFlagNames() []string {
	return []string{"--read", "--write", "--exec", "--workdir", "--env", "--secret", "--inject", "--memory", "--cpus", "--pids", "--nofile", "--file-size", "--scratch",
		"--output", "--time", "--grace", "--seccomp", "--report-refusals", "--user", "--tty", "--hostname", "--image", "--name", "--net", "--dns", "--private", "--time-namespace", "--file"}
}

// register adds the flags to a set.
func (g *grants) register(set *flag.FlagSet, env cli.Environment) {
	asked := func(name, help string, f func(string) error) {
		set.Func(name, help, func(v string) error { g.set = true; return f(v) })
	}
	for _, x := range []struct {
		name string
		list *[]grant
	}{{"read", &g.read}, {"write", &g.write}, {"exec", &g.exec}} {
		asked(x.name, "", func(v string) error {
			host, at, err := pathPair(v, env)
			*x.list = append(*x.list, grant{"--" + x.name + " " + cli.Brief(v), host, at})
			return err
		})
	}
	asked("workdir", "", func(v string) error { g.work = v; return nil })
	asked("env", "", func(v string) error { g.env = append(g.env, v); return nil })
	asked("secret", "", func(v string) error { g.secretFlag(v); return nil })
	asked("inject", "", g.injectFlag)
	size := func(name string, to **int64) {
		asked(name, "", func(v string) error {
			n, err := cli.ParseSize(v)
			*to = &n
			return err
		})
	}
	size("memory", &g.limits.MemoryMaxBytes)
	size("file-size", &g.limits.FileSizeBytes)
	size("scratch", &g.limits.ScratchBytes)
	size("output", &g.limits.OutputBytes)
	count := func(name string, to **int64) {
		asked(name, "", func(v string) error {
			var n int64
			if _, err := fmt.Sscanf(v+"\n", "%d\n", &n); err != nil || n < 1 {
				return errors.New("not a number above 0")
			}
			*to = &n
			return nil
		})
	}
	count("pids", &g.limits.Processes)
	count("nofile", &g.limits.OpenFiles)
	asked("cpus", "", func(v string) error {
		q, err := cli.ParseCPUs(v)
		period := int64(cli.CPUPeriod)
		g.limits.CPUMax = &document.CPUMax{QuotaMicros: q, PeriodMicros: &period}
		return err
	})
	asked("time", "", func(v string) (err error) { g.time, err = cli.ParseTime(v); return err })
	asked("grace", "", func(v string) error {
		d, err := cli.ParseTime(v)
		n := int64((d + time.Second - 1) / time.Second)
		g.limits.GracefulShutdownSeconds = &n
		return err
	})
	asked("seccomp", "", func(v string) error { return g.seccompFlag(v, env) })
	asked("user", "", func(v string) error {
		uid, gid, err := cli.ParseUser(v)
		g.user = &document.User{UID: uid, GID: gid}
		return err
	})
	asked("hostname", "", func(v string) error { g.hostname = v; return nil })
	asked("image", "", func(v string) error {
		ref, err := image.ParseRef(v)
		g.image = ref.String() // with the whole path
		return err
	})
	asked("name", "", func(v string) error { g.name = v; return nil })
	g.network.register(asked)
	yes := func(name string, to *bool) {
		set.BoolFunc(name, "", func(v string) (err error) { g.set = true; *to, err = strconv.ParseBool(v); return err })
	}
	yes("report-refusals", &g.seccomp.ReportRefusals)
	yes("tty", &g.tty)
	yes("t", &g.tty)
	yes("time-namespace", &g.clocks)
}

// pathPair reads PATH or PATH:DEST. Relative paths are relative to where the person stands.
func pathPair(v string, env cli.Environment) (host, at string, err error) {
	host, at, both := strings.Cut(v, ":")
	if host == "" || both && at == "" {
		return "", "", errors.New("write PATH or PATH:DEST")
	}
	if slices.Contains(strings.Split(host, "/"), "..") {
		return "", "", errors.New("the path contains ..; name the folder itself")
	}
	if !filepath.IsAbs(host) {
		wd, err := env.Getwd()
		if err != nil {
			return "", "", err
		}
		host = filepath.Join(wd, host)
	}
	host = path.Clean(host)
	if err := lengths(host); err != nil {
		return "", "", err
	}
	if !both {
		return host, "", nil
	}
	if !path.IsAbs(at) {
		return "", "", errors.New("DEST must be absolute")
	}
	if err := lengths(at); err != nil {
		return "", "", err
	}
	return host, path.Clean(at), nil
}

// lengths refuses what no path can be: PATH_MAX and NAME_MAX of include/uapi/linux/limits.h.
func lengths(p string) error {
	if len(p) > 4095 {
		return errors.New("the path is longer than 4095 bytes")
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > 255 {
			return errors.New("a name in the path is longer than 255 bytes")
		}
	}
	return nil
}

// document writes the flags as a document.
func (g *grants) document(argv []string, env cli.Environment) (*document.Document, error) {
	lifetime := adhocLifetime
	run := &document.Run{Argv: argv, SecretDelivery: document.DeliverEnv, Terminal: g.tty, User: g.user, TimeNamespace: g.clocks}
	if g.time > 0 {
		ms := g.time.Milliseconds()
		run.TimeoutMs = &ms
		lifetime = max(lifetime, g.time+time.Second)
	}
	if g.limits != (document.Limits{}) {
		l := g.limits
		run.Limits = &l
	}
	run.Seccomp = g.seccompAsked()
	if g.hostname != "" {
		run.Hostname = &g.hostname
	}
	var err error
	if run.Environment, err = environmentOf(g.env, g.tty, env); err != nil {
		return nil, err
	}
	dir, mode, err := g.workdir(env)
	if err != nil {
		return nil, err
	}
	run.WorkingDirectory = &dir
	secrets, err := g.secretNames(env)
	if err != nil {
		return nil, err
	}
	fs := &document.Filesystem{Read: documentGrants(g.read), Write: documentGrants(g.write), Exec: documentGrants(g.exec), WorkingDirectory: &mode}
	grants := document.Authority{Filesystem: fs, EgressRules: []document.EgressRule{}, SecretRefs: secrets}
	g.network.document(&grants)
	var in *document.Environment
	if g.image != "" {
		in = &document.Environment{ImageReference: g.image}
	}
	return &document.Document{APIVersion: document.APIVersion, Kind: document.Kind, Spec: document.Spec{
		ID:          g.id(argv[0]),
		Environment: in,
		Run:         run,
		Authority:   grants,
		Lifetime:    document.Lifetime{TTLSeconds: int64(lifetime / time.Second)},
	}}, nil
}

// workdir reads DIR or DIR:MODE; the default is where the person stands.
func (g *grants) workdir(env cli.Environment) (dir, mode string, err error) {
	mode = string(authority.Overlay)
	if g.work == "" {
		dir, err = env.Getwd()
		if err != nil {
			return "", "", noPlace(err)
		}
		return dir, mode, nil
	}
	dir = g.work
	if i := strings.LastIndexByte(dir, ':'); i >= 0 {
		dir, mode = dir[:i], dir[i+1:]
		if !slices.Contains([]authority.Mode{authority.Overlay, authority.Read, authority.Write, authority.Empty}, authority.Mode(mode)) {
			return "", "", cli.NewMistake("--workdir "+cli.Quote(cli.Brief(g.work))+": "+cli.Quote(mode)+" is no mode", "the modes are overlay, read, write and empty").At("")
		}
	}
	dir, _, err = pathPair(dir, env)
	if err != nil {
		return "", "", cli.NewMistake("--workdir "+cli.Quote(cli.Brief(g.work))+": "+err.Error(), "").At("")
	}
	return dir, mode, nil
}

// noPlace says that nobody knows where the person stands.
func noPlace(err error) error {
	return cli.Failure{Code: cli.ExitRefused, Errs: []error{cli.NewMistake("finding the working directory: "+err.Error(), "change to a folder that exists, or choose one with --workdir DIR[:MODE]")}}
}

func documentGrants(in []grant) (out []document.Grant) {
	for _, g := range in {
		d := document.Grant{Path: g.host}
		if g.at != "" {
			at := g.at
			d.At = &at
		}
		out = append(out, d)
	}
	return out
}

// id is the name of the cell: that of its program, if it is not given.
func (g *grants) id(argv0 string) string {
	if g.name != "" {
		return g.name
	}
	b := []byte(path.Base(argv0))
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || i > 0 && (c == '-' || c == '_')) {
			b[i] = 'x'
		}
	}
	if len(b) == 0 {
		return "cell"
	}
	return string(b[:min(len(b), 100)])
}
