package plan

import (
	"maps"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

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
		{name: "injected", host: machine(), grants: mode("empty") + `,"secretRefs":["KEY","OTHER"],"egressRules":[{"host":"api.example.com","port":443,"protocol":"https","inject":[{"secret":"KEY","header":"Authorization","prefix":"Bearer "}]}]`,
			run: `"secretDelivery":"env"`},
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
