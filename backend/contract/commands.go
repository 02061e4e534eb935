//go:build linux

package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/sysabi"
)

var commands = []test{
	{"the environment is the plan's", exactEnvironment},
	{"descriptors are three", descriptors},
	{"large arguments", largeArguments},
	{"arguments of any bytes", anyArguments},
	{"a name is looked up in PATH", lookedUp},
	{"scripts run by their interpreter", scripts},
	{"who the command is", identity},
	{"a user of the document", otherUser},
	{"the host name", hostName},
	{"limits of open files and file size", rlimits},
	{"processes are limited", processLimit},
	{"secrets in the environment", secretsInEnvironment},
	{"a profile for computations", strictProfile},
	{"a filter of the caller's", ownFilter},
	{"no network", noNetwork},
	{"no process of the host is seen", processes},
}

func exactEnvironment(t *testing.T, s Subject) {
	s.prints(t, ask{argv: []string{"/usr/bin/env"}, run: `"environment":{"A":"b","EMPTY":"","LINES":"one\ntwo","Ü":"ä"}`}, "A=b\nEMPTY=\nLINES=one\ntwo\nPATH="+authority.Path+"\nÜ=ä\n",
		func(a *authority.Authority) {
			for _, v := range a.Command.Env {
				if v.Name == "" {
					t.Error("a variable without a name")
				}
			}
		})
}

// descriptors: 0, 1, 2, and the one that ls reads the folder with.
func descriptors(t *testing.T, s Subject) {
	s.prints(t, ask{argv: []string{"/bin/ls", "/proc/self/fd"}}, "0\n1\n2\n3\n")
}

func largeArguments(t *testing.T, s Subject) {
	args := []string{"/bin/sh", "-c", `n=0; for x; do n=$((n+${#x})); done; echo $# $n`, "sh"}
	for range 10 {
		args = append(args, strings.Repeat("x", 100<<10))
	}
	for range 2000 {
		args = append(args, "y")
	}
	s.prints(t, ask{argv: args[:4]}, fmt.Sprintf("2010 %d\n", 10*100<<10+2000), func(a *authority.Authority) { a.Command.Argv = args })
}

func anyArguments(t *testing.T, s Subject) {
	all := make([]byte, 0, 255)
	for b := 1; b < 256; b++ {
		all = append(all, byte(b))
	}
	args := []string{"/usr/bin/printf", `%s|`, string(all), "", "a b", "\xff\xfe", `"\u00e9"`, "-"}
	s.prints(t, ask{argv: args[:2]}, string(all)+"||a b|\xff\xfe|"+`"\u00e9"|-|`, func(a *authority.Authority) { a.Command.Argv = args })
}

func lookedUp(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.Mkdir(dir+"/a", 0o755), os.Mkdir(dir+"/b", 0o755), os.WriteFile(dir+"/a/prog", []byte("#!/bin/sh\n"), 0o644),
		os.WriteFile(dir+"/b/prog", []byte("#!/bin/sh\necho b $0\n"), 0o755))
	s.prints(t, ask{argv: []string{"prog"}, dir: dir, run: `"environment":{"PATH":"` + dir + `/none:` + dir + `/a:` + dir + `/b"}`}, "b "+dir+"/b/prog\n")
}

func scripts(t *testing.T, s Subject) {
	dir := workdir(t)
	must(t, os.WriteFile(dir+"/script", []byte("#!/bin/sh -e\necho $0 $1\nfalse\necho not reached\n"), 0o755))
	if o, got := s.out(t, ask{argv: []string{"./script", "arg"}, dir: dir}); o.Code != 1 || got != "./script arg\n" {
		t.Errorf("%+v, %q", o, got)
	}
}

// identity: the ids are the plan's, the host's root is nowhere, and no capability is held.
func identity(t *testing.T, s Subject) {
	_, p := s.planned(t, sh("id -u; id -g; grep Cap /proc/self/status; umask; cat /proc/self/uid_map >/dev/null"))
	if p.IDs.HostUID == 0 || p.IDs.HostGID == 0 {
		t.Errorf("the host's root: %+v", p.IDs)
	}
	w, text := output(t)
	c := s.started(t, p, cell.Streams{Out: w, Err: w})
	waited(t, c)
	clean(t, c)
	f := strings.Fields(text())
	if len(f) < 13 || f[0] != fmt.Sprint(p.IDs.UID) || f[1] != fmt.Sprint(p.IDs.GID) || f[len(f)-1] != "0022" {
		t.Fatalf("%q", f)
	}
	for i := 2; i < len(f)-1; i += 2 {
		if f[i+1] != "0000000000000000" {
			t.Errorf("%s %s", f[i], f[i+1])
		}
	}
}

func otherUser(t *testing.T, s Subject) {
	for _, id := range few(s, "0", "1000", "4321") {
		s.prints(t, ask{argv: []string{"/bin/sh", "-c", "id -u; id -g; echo x >mine && stat -c %u:%g mine"}, run: `"user":{"uid":` + id + `,"gid":` + id + `}`}, id+"\n"+id+"\n"+id+":"+id+"\n")
	}
}

func hostName(t *testing.T, s Subject) {
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "uname -n; cat /etc/hostname"}, run: `"hostname":"some-cell"`}, "some-cell\nsome-cell\n")
	s.prints(t, sh("uname -n"), "cell\n")
}

func rlimits(t *testing.T, s Subject) {
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", `ulimit -Sn; ulimit -Hn; ulimit -c; sh -c "head -c 5000 /dev/zero >f; exit \$?" 2>/dev/null; echo $?; stat -c %s f`}, run: `"limits":{"openFiles":256,"fileSizeBytes":4096}`},
		"256\n256\n0\n153\n4096\n")
}

// processLimit: a loop that starts processes is stopped at the limit and not before it.
func processLimit(t *testing.T, s Subject) {
	script := "i=0; while [ $i -lt 100 ]; do sleep 1000 & [ $! ] || break; i=$((i+1)); done; echo all"
	o, got := s.out(t, ask{argv: []string{"/bin/sh", "-c", script}, run: `"limits":{"processes":20}`})
	if strings.Contains(got, "all\n") || o.Code == 0 {
		t.Errorf("no limit: %+v, %q", o, got)
	}
	s.prints(t, ask{argv: []string{"/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done; echo fine"}, run: `"limits":{"processes":20}`}, "fine\n")
}

// secretsInEnvironment: values of any bytes arrive, and no plan has them.
func secretsInEnvironment(t *testing.T, s Subject) {
	_, p := s.planned(t, ask{argv: []string{"/bin/sh", "-c", `printf %s "$TOKEN"; printf %s "$EMPTY" | wc -c; env | grep -c TOKEN`}, grants: `"secretRefs":["TOKEN","EMPTY"]`, run: `"secretDelivery":"env"`})
	value := "line\n\xff\"'$x" + strings.Repeat("y", 70<<10)
	w, text := output(t)
	c := s.built(t, p, cell.Streams{Out: w, Err: w, Secrets: []secret.Variable{{Name: "TOKEN", Value: secret.FromString(value)}, {Name: "EMPTY"}}})
	measured(t, c)
	must(t, c.Release(t.Context()))
	waited(t, c)
	clean(t, c)
	if got := text(); got != value+"0\n1\n" || strings.Contains(fmt.Sprintf("%+v", p), "yyyyyyyy") {
		t.Errorf("%s", brief(got))
	}
}

// strictProfile allows the one execve that starts the command, at addresses that nobody can guess, and no other.
func strictProfile(t *testing.T, s Subject) {
	o, got := s.out(t, ask{argv: []string{"/bin/sh", "-c", "echo a; exec /bin/true"}, run: `"seccomp":{"profile":"strict"}`})
	if o.Code != 126 || !strings.HasPrefix(got, "a\n") {
		t.Errorf("%+v, %q", o, got)
	}
}

func noNetwork(t *testing.T, s Subject) {
	s.prints(t, sh("cat /proc/net/route 2>/dev/null | grep -v Iface; (exec 3<>/dev/tcp/192.0.2.1/80) 2>/dev/null && echo reached; echo end"), "end\n")
}

func processes(t *testing.T, s Subject) {
	o, got := s.out(t, sh("for p in /proc/[0-9]*; do echo ${p#/proc/}; done"))
	list := strings.Fields(got)
	if o.Code != 0 || len(list) != 2 || list[0] != "1" {
		t.Errorf("%+v, %q", o, got)
	}
}

// ownFilter: a filter on top of the profile's refuses what it says, and nothing else.
func ownFilter(t *testing.T, s Subject) {
	policy := &seccomp.Policy{Name: "mine", Default: seccomp.Allow, Rules: []seccomp.Rule{{Names: []string{"uname"}, Else: seccomp.Errno(sysabi.EPERM)}}}
	s.prints(t, sh("uname 2>/dev/null || echo refused; id -u >/dev/null && echo fine; unshare -U true 2>/dev/null || echo hardened"), "refused\nfine\nhardened\n",
		func(a *authority.Authority) {
			a.Filters = append(a.Filters, authority.Filter{Name: "mine", From: "spec.run.seccomp.file", Policy: policy})
		})
}
