package plan

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

var update = flag.Bool("update", false, "write the golden files; read every line of the difference")

// A golden case is a document on a machine.
type golden struct {
	name        string
	host        Host
	files       files
	run, grants string
	all         string // members of spec, in place of run and grants
	filters     []authority.Filter
}

// testRunsc is a runsc that a host might have.
var testRunsc = Runsc{Path: "/usr/bin/runsc", Version: "cellos-20260905-abc", SHA256: strings.Repeat("5", 64), Platform: "systrap"}

func kernel(h Host, major, minor int) Host { h.Kernel = Version{major, minor}; return h }

// without is a machine that lacks a file.
func without(f files, path string) files {
	f = maps.Clone(f)
	delete(f, path)
	return f
}

func goldens() []golden {
	mode := func(m string) string { return `"filesystem":{"workingDirectory":"` + m + `"}` }
	lacks := func(change func(*Host)) Host { h := machine(); change(&h); return h }
	arm := lacks(func(h *Host) { h.Arch = "arm64" })
	return []golden{
		{name: "user-overlay", host: machine()},
		{name: "user-read", host: machine(), grants: mode("read")},
		{name: "user-write", host: machine(), grants: mode("write")},
		{name: "user-empty", host: machine(), grants: mode("empty")},
		{name: "root-overlay", host: rootful()},
		{name: "root-read", host: rootful(), grants: mode("read")},
		{name: "root-write", host: rootful(), grants: mode("write")},
		{name: "root-empty", host: rootful(), grants: mode("empty")},
		{name: "arm64", host: arm, files: split(), run: `"environment":{"HOME":"/home/x","A":"1"}`},
		{name: "terminal", host: machine(), run: `"terminal":true`, grants: mode("empty")},
		{name: "time", host: machine(), run: `"timeNamespace":true`, grants: mode("empty")},
		{name: "old-landlock", host: kernel(lacks(func(h *Host) { h.Landlock = 1 }), 5, 14), grants: mode("read")},
		{name: "root-inside", host: machine(), run: `"user":{"uid":0,"gid":0},"hostname":"box"`, grants: mode("empty")},
		{name: "limits", host: machine(), grants: mode("empty"),
			run: `"timeoutMs":1500,"limits":{"processes":64,"openFiles":256,"fileSizeBytes":1048576,"scratchBytes":65536,"outputBytes":1000,"gracefulShutdownSeconds":5}`},
		{name: "group", host: lacks(func(h *Host) { h.Cgroups = delegated }), grants: mode("empty"), run: `"limits":{"memoryMaxBytes":67108864,"cpuMax":{"quotaMicros":50000}}`},
		{name: "root-group", host: func() Host { h := rootful(); h.Cgroups = versionOne; return h }(), grants: mode("empty"), run: `"limits":{"memoryMaxBytes":1048577,"processes":7}`},
		{name: "network", host: machine(), grants: mode("empty") + `,"egressRules":[{"host":"api.example.com","port":443,"protocol":"https","budget":{"bytesOut":1000,"perSecond":5,"onExceed":"end"}},` +
			`{"host":"192.0.2.1","port":9},{"host":"[2001:db8::1]","port":123,"protocol":"UDP"},{"host":"9.9.9.9","port":53,"protocol":"dns-acknowledged"}],` +
			`"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"127.0.0.1:53","protocol":"do53-udp"},{"resolverId":"q","endpoint":"https://dns.example/dns-query","protocol":"doh"}],` +
			`"rebindingPolicy":{"responseIpAllowlist":["api.example.com:10.0.0.0/8"]}}`},
		{name: "root-network", host: rootful(), grants: mode("empty") + `,"egressRules":[{"host":"api.example.com","port":443}]`},
		{name: "names-only", host: machine(), grants: mode("empty") + `,"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"[::1]:53","protocol":"do53-udp"}],"hostnameAllowlist":["*.example.com"]}`},
		{name: "refused-network", host: lacks(func(h *Host) { h.Landlock = 6 }), files: without(debian, "/dev/net/tun"), grants: mode("empty") + `,"egressRules":[{"host":"127.0.0.1","port":80},{"host":"198.19.0.1","port":80},{"host":"0.1.2.3","port":80},` +
			`{"host":"[fe80::1]","port":80},{"host":"a._tcp","port":80},{"host":"a.example","port":53},{"host":"a.example","port":853},{"host":"a.example","port":443,"protocol":"udp"},{"host":"a.example","port":53,"protocol":"dns-acknowledged"},` +
			`{"host":"::1","port":80},{"host":"::ffff:127.0.0.1","port":80},{"host":"192.0.2.1","port":54,"protocol":"dns-acknowledged"}],` +
			`"dnsAuthority":{"blockUdpHttp3":true,"resolvers":[{"resolverId":"a","endpoint":"192.0.2.1:853","protocol":"doq"},{"resolverId":"b","endpoint":"192.0.2.1:53","protocol":"do53-udp","dnssec":{}}]}`},
		{name: "profiles", host: machine(), run: `"seccomp":{"profile":"baseline+net-none"}`, grants: mode("empty")},
		{name: "watched", host: machine(), run: `"seccomp":{"profile":"strict","reportRefusals":true}`, grants: mode("write")},
		{name: "strict", host: machine(), run: `"seccomp":{"profile":"strict+net-none"}`, grants: mode("empty")},
		{name: "filters", host: rootful(), run: `"seccomp":{"profile":"strict","file":"/etc/cell/scanner.yaml"}`, grants: mode("write"), filters: []authority.Filter{
			{Name: "/etc/cell/scanner.yaml", From: "spec.run.seccomp.file", Policy: policy("hardened+net-none").Without("mkdir")},
			{Name: "/etc/cellos/allow.bpf", From: "CELLOS_SECCOMP_BPF_PATH", Program: seccomp.Program{{Code: 6, K: uint32(seccomp.Allow)}}}}},
		{name: "filters-arm64", host: arm, files: split(), filters: []authority.Filter{{Name: "strict+debug", From: "CELLOS_SUBPROCESS_SECCOMP", Policy: policy("strict+debug")}}},
		{name: "nested", host: machine(), grants: `"filesystem":{"workingDirectory":"write","read":["/data","/data/list",{"path":"/home/me/key","at":"/src/notes"}],"write":["/data/in"],"exec":["/data/in/deep",{"path":"/opt/tool","at":"/tool"}]}`},
		{name: "root-nested", host: rootful(), grants: `"filesystem":{"read":["/data","/data/list"],"write":["/data/in"],"exec":[{"path":"/opt/tool","at":"/src/out"}]}`},
		{name: "inside-usr-and-tmp", host: machine(), grants: `"filesystem":{"workingDirectory":"empty","read":[{"path":"/data","at":"/usr/share/doc"},{"path":"/home/me/key","at":"/tmp/a/b/key"}],"exec":[{"path":"/opt/tool","at":"/tmp/tool"}]}`},
		{name: "replaced", host: machine(), grants: `"filesystem":{"workingDirectory":"empty","read":[{"path":"/home/me/key","at":"/etc/list"}],"write":[{"path":"/var/cache","at":"/tmp"}],"exec":[{"path":"/data","at":"/etc"}]}`},
		{name: "replaced-in-etc", host: machine(), grants: `"filesystem":{"workingDirectory":"empty","read":[{"path":"/data/list","at":"/etc/hosts"},{"path":"/data","at":"/etc/ssl"},{"path":"/data/list","at":"/etc/localtime"},{"path":"/data","at":"/etc/mine/conf"}]}`},
		{name: "in-tmp", host: machine(), run: `"workingDirectory":"/tmp/job"`},
		{name: "is-tmp", host: machine(), run: `"workingDirectory":"/tmp"`, grants: mode("empty")},

		{name: "gvisor-user", host: lacks(func(h *Host) { h.Landlock = 0 })},
		{name: "gvisor-root", host: rootful(), grants: mode("write"), run: `"user":{"uid":5,"gid":6},"hostname":"box","limits":{"processes":64,"openFiles":256,"fileSizeBytes":1048576}`},
		{name: "gvisor-terminal", host: machine(), run: `"terminal":true,"environment":{"A":"\u0001ü"}`, grants: mode("empty")},
		{name: "gvisor-nested", host: machine(), grants: `"filesystem":{"workingDirectory":"write","read":["/data","/data/list",{"path":"/home/me/key","at":"/src/notes"}],"write":["/data/in"],"exec":["/data/in/deep",{"path":"/opt/tool","at":"/tool"}]}`},
		{name: "gvisor-network", host: machine(), grants: mode("empty") + `,"egressRules":[{"host":"api.example.com","port":443,"protocol":"https"},{"host":"[2001:db8::1]","port":123,"protocol":"UDP"}],` +
			`"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"127.0.0.1:53","protocol":"do53-udp"}]}`},
		{name: "gvisor-names-only", host: rootful(), grants: mode("empty") + `,"dnsAuthority":{"resolvers":[{"resolverId":"r","endpoint":"[::1]:53","protocol":"do53-udp"}],"hostnameAllowlist":["*.example.com"]}`},
		{name: "gvisor-filters", host: machine(), run: `"seccomp":{"profile":"strict","file":"/etc/cell/scanner.yaml"}`, grants: mode("write"), filters: []authority.Filter{
			{Name: "/etc/cell/scanner.yaml", From: "spec.run.seccomp.file", Policy: policy("hardened+net-none").Without("mkdir")}}},
		{name: "refused-gvisor-container", host: lacks(func(h *Host) { h.UserNS = "user.max_user_namespaces is 0" })},
		{name: "refused-gvisor-limits", host: lacks(func(h *Host) { h.Cgroups = delegated }), grants: mode("empty"), run: `"limits":{"memoryMaxBytes":33554431},"environment":{"LONG":"` + strings.Repeat("x", 1<<17) + `"}`},
		{name: "refused-gvisor-all", host: machine(), run: `"timeNamespace":true,"seccomp":{"profile":"hardened+debug","reportRefusals":true}`, grants: `"filesystem":{"workingDirectory":"empty","read":["/nothing"]}`},

		{name: "refused-linux-5.10", host: kernel(machine(), 5, 10)},
		{name: "refused-linux-5.15", host: kernel(machine(), 5, 15)},
		{name: "refused-linux-6.1", host: kernel(machine(), 6, 1), run: `"workingDirectory":"/data"`},
		{name: "refused-root-linux-5.15", host: kernel(rootful(), 5, 15), grants: mode("read")},
		{name: "refused-no-landlock", host: lacks(func(h *Host) { h.Landlock = 0 })},
		{name: "refused-container", host: lacks(func(h *Host) { h.UserNS = "user.max_user_namespaces is 0" })},
		{name: "refused-apparmor", host: lacks(func(h *Host) {
			h.UserNS = "apparmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)"
		})},
		{name: "refused-bare", host: Host{Arch: "riscv64", Kernel: Version{4, 19}, UID: 5, GID: 0, UserNS: "the kernel has none (CONFIG_USER_NS)"}},
		{name: "refused-paths", host: machine(), run: `"workingDirectory":"/src/link"`, grants: `"filesystem":{"read":["/home/me/link","/home/me/link/in","/home/me/dangling","/home/me/socket","/home/me/closed","/nowhere","/bin/sh",{"path":"/data","at":"/usr/nothing"},{"path":"/data","at":"/usr/bin/tool"},{"path":"/home/me/key","at":"/usr/local"}]}`},
		{name: "refused-workdir", host: machine(), run: `"workingDirectory":"/"`, grants: `"filesystem":{"read":["/nowhere"]}`},
		{name: "refused-workdir-twice", host: machine(), grants: `"filesystem":{"read":["/src"]}`},
		{name: "refused-group", host: lacks(func(h *Host) {
			h.Cgroups = Cgroups{Why: "version 2: it is not mounted; version 1: its groups are root's"}
		}),
			run: `"limits":{"memoryMaxBytes":67108864,"cpuMax":{"quotaMicros":50000}}`},
		{name: "refused-filters", host: machine(), filters: []authority.Filter{
			{Name: "no-exec.yaml", From: "spec.run.seccomp.file", Policy: policy("hardened").Without("execve")},
			{Name: "arm64.bpf", From: "CELLOS_SECCOMP_BPF_PATH", Program: compiled("hardened", "arm64")},
			{Name: "nothing.bpf", From: "CELLOS_SECCOMP_BPF_PATH", Program: seccomp.Program{{Code: 6, K: uint32(seccomp.KillProcess)}}},
			{Name: "zero.bpf", From: "CELLOS_SECCOMP_BPF_PATH", Program: make(seccomp.Program, 1)},
			{Name: "unknown.yaml", From: "spec.run.seccomp.file", Policy: policy("hardened").WithRule(seccomp.Rule{Names: []string{"frobnicate"}, Else: seccomp.Allow})}}},
		{name: "refused-stack", host: machine(), filters: []authority.Filter{long(), long(), long(), long()}},
		{name: "refused-not-yet", host: machine(), all: `"ingress":{"git":{"url":"u"}},"environment":{"imageReference":"i"},"identity":{"kind":"federatedOidc","provider":"p","audience":"a","secretRef":"two"},` +
			`"run":{"argv":["x"],"seccomp":{"profile":"strict+net-none"},"limits":{"memoryMaxBytes":1048576,"cpuMax":{"quotaMicros":5000},"openFiles":1048576}},` +
			`"authority":{"egressRules":[{"host":"a.example","port":443,"protocol":"https"},{"host":"b.example","port":53}],"secretRefs":["one","two"],` +
			`"dnsAuthority":{"hostnameAllowlist":["a.example"]},"cdnAuthority":{"providers":[{"providerId":"p","hostnamePattern":"*.a.example"}]},` +
			`"authorityDerivation":{"roleRoot":"r","leafCapability":{"egressRules":[],"secretRefs":[]},"derivationSteps":[],"grantorSignature":{"algorithm":"ed25519","bytes":"AA=="}},` +
			`"filesystem":{"read":["/nowhere"]}},"export":{"artifacts":[{"name":"n","path":"out/x"}]}`},
	}
}

func policy(name string) *seccomp.Policy {
	p, err := seccomp.Profile(name)
	if err != nil {
		panic(err)
	}
	return p
}

func compiled(name, arch string) seccomp.Program {
	a, _ := sysabi.ArchByName(arch)
	prog, err := seccomp.Compile(policy(name), a)
	if err != nil {
		panic(err)
	}
	return prog
}

// long is as costly as a filter can be: of four the kernel takes three.
func long() authority.Filter {
	prog := make(seccomp.Program, seccomp.MaxInstructions)
	for i := range prog {
		prog[i] = seccomp.Instruction{Code: 6, K: uint32(seccomp.Allow)}
	}
	return authority.Filter{Name: "long.bpf", From: "CELLOS_SECCOMP_BPF_PATH", Program: prog}
}

func (g golden) plan(t testing.TB) (*authority.Authority, Host, *Plan, error) {
	t.Helper()
	a := read(t, g.run, g.grants)
	if g.all != "" {
		a = readAll(t, g.all)
	}
	f := g.files
	if f == nil {
		f = debian
	}
	a.Filters = g.filters
	h := g.host.at(f, a)
	if g.name == "refused-not-yet" {
		h.OpenMax = 4096
	}
	plan := For
	if strings.Contains(g.name, "gvisor-") {
		plan = func(a *authority.Authority, h Host) (*Plan, error) { return ForGVisor(a, h, testRunsc) }
	}
	p, err := plan(a, h)
	return a, h, p, err
}

func TestGolden(t *testing.T) {
	known := map[string]bool{}
	for _, g := range goldens() {
		known[g.name+".txt"] = true
		t.Run(g.name, func(t *testing.T) {
			_, _, p, err := g.plan(t)
			got := g.heading() + g.shown(t, p, err)
			if refused := strings.HasPrefix(g.name, "refused-"); refused != (err != nil) {
				t.Errorf("refused: %v", err)
			}
			path := filepath.Join("testdata", "golden", g.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := difference(string(want), got); d != "" {
				t.Errorf("%s (go test -update, and read the difference)\n%s", path, d)
			}
		})
	}
	stored, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if !known[filepath.Base(s)] {
			t.Errorf("%s belongs to no case", s)
		}
	}
}

func (g golden) heading() string {
	h := g.host
	return fmt.Sprintf("host: %s, Linux %v, user %d:%d, Landlock %d\nrun: %s\nauthority: %s%s\n\n", h.Arch, h.Kernel, h.UID, h.GID, h.Landlock, g.run, g.grants, g.all)
}

// shown is what a golden file holds of a plan: the words, the mounts, and the steps. Those of the first case of each kind of user are
// complete; the others hold what differs from it, in order.
func (g golden) shown(t *testing.T, p *Plan, err error) string {
	t.Helper()
	var b strings.Builder
	if err != nil {
		var r Refused
		if !errors.As(err, &r) {
			t.Fatalf("no refusal: %v", err)
		}
		for _, x := range r {
			fmt.Fprintf(&b, "error: %v\n", x)
			if x.Remedy != "" {
				fmt.Fprintf(&b, "hint: %s\n", x.Remedy)
			}
		}
		return b.String()
	}
	if err := p.Table.Validate(table.Shared); err != nil {
		t.Errorf("the table: %v", err)
	}
	text := string(p.Text())
	if !strings.HasPrefix(text, p.Words()) || !strings.HasSuffix(text, p.Table.String()) {
		t.Error("Text is not the words and the table")
	}
	b.WriteString(strings.TrimSuffix(text, p.Table.String()))
	base := golden{name: "user-overlay", host: machine()}
	if g.host.Root() {
		base = golden{name: "root-overlay", host: rootful()}
	}
	if g.name == base.name {
		b.WriteString(strings.Join(steps(p), ""))
	} else {
		_, _, q, err := base.plan(t)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("  as " + base.name + ", but\n")
		b.WriteString(changed(steps(q), steps(p)))
	}
	b.WriteString("\nmounts:\n")
	for _, m := range p.Mounts {
		fmt.Fprintf(&b, "  %s %s %s\n", m.At, m.Type, m.Attr.Options())
	}
	fmt.Fprintf(&b, "\nheld: changes %d, terminal %d; candidates %q; %d probes\n", p.Held.Changes, p.Held.Terminal, p.Boot.Candidates, len(p.Boot.Probes))
	return b.String()
}

// steps prints the steps, with the long row of capabilities cut.
func steps(p *Plan) (lines []string) {
	caps := 0
	for _, s := range p.Table {
		if s.Name == "dropping a capability from the bounding set" {
			caps++
			continue
		}
		if caps > 0 {
			lines = append(lines, fmt.Sprintf("  … prctl(PR_CAPBSET_DROP, 0 to %d)\n", caps-1))
			caps = 0
		}
		lines = append(lines, "  "+s.String()+"\n")
	}
	return lines
}

// changed shows the lines that leave and that come, by the longest common subsequence.
func changed(from, to []string) string {
	common := make([][]int, len(from)+1)
	for i := range common {
		common[i] = make([]int, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	for i, j := 0, 0; i < len(from) || j < len(to); {
		switch {
		case i < len(from) && j < len(to) && from[i] == to[j]:
			i, j = i+1, j+1
		case j == len(to) || i < len(from) && common[i+1][j] >= common[i][j+1]:
			b.WriteString("- " + strings.TrimSpace(from[i]) + "\n")
			i++
		default:
			b.WriteString("+ " + strings.TrimSpace(to[j]) + "\n")
			j++
		}
	}
	return b.String()
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, a, b)
		}
	}
	return ""
}
