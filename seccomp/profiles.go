package seccomp

import (
	"fmt"
	"strings"

	"cellos.io/cellos/sysabi"
)

//go:generate go run ./internal/mkprofiles testdata/seccomp-profiles.tsv zprofiles.go

type profileRow struct {
	name, group      string
	hardened, strict byte
}

func verdict(b byte) Action {
	switch b {
	case 'a':
		return Allow
	case 'p':
		return Errno(sysabi.EPERM)
	case 'k':
		return KillProcess
	}
	return Errno(sysabi.ENOSYS)
}

// Profiles lists the profiles, from the weakest to the strictest. "+net-none" and "+debug" can be added to each.
func Profiles() []string { return []string{"baseline", "hardened", "strict"} }

// Profile makes the policy of a profile: baseline, hardened or strict, followed by the additions "+net-none" (no sockets
// but those of AF_UNIX) and "+debug" (what strace and gdb need), each at most once and in any order.
//
//   - baseline refuses the 17 calls that the reference implementation refuses and allows the rest.
//   - hardened allows what ordinary programs use, and is what a cell gets.
//   - strict is for computation: it allows threads, but neither processes nor sockets.
func Profile(name string) (*Policy, error) {
	base, additions, _ := strings.Cut(name, "+")
	netNone, debug := false, false
	for a := range strings.SplitSeq(additions, "+") {
		switch {
		case additions == "" && base == name:
		case a == "net-none" && !netNone:
			netNone = true
		case a == "debug" && !debug:
			debug = true
		default:
			return nil, unknownProfile(name)
		}
	}
	var p *Policy
	switch base {
	case "baseline":
		p = baseline()
	case "hardened":
		p = hardened()
	case "strict":
		p = strict()
	default:
		return nil, unknownProfile(name)
	}
	if netNone && base != "strict" { // strict has no sockets at all
		p = p.WithRule(unixOnly())
	}
	if debug {
		p = p.WithRule(Rule{Names: []string{"ptrace", "process_vm_readv", "process_vm_writev", "kcmp"}, Else: Allow})
		if base == "hardened" {
			p = p.WithRule(personalities(0x40000)) // ADDR_NO_RANDOMIZE
		}
	}
	p.Name = name
	return p, nil
}

func unknownProfile(name string) error {
	return fmt.Errorf("unknown seccomp profile %q: it must be baseline, hardened or strict, with +net-none or +debug added if need be", name)
}

// baselineCalls are the calls that the reference refuses, in its order, which its bytes depend on.
func baselineCalls() []string {
	return []string{"ptrace", "process_vm_readv", "process_vm_writev", "bpf", "perf_event_open", "keyctl", "add_key",
		"request_key", "mount", "umount2", "pivot_root", "setns", "unshare", "init_module", "finit_module", "delete_module",
		"kexec_load"}
}

func baseline() *Policy {
	p := &Policy{Default: Allow, Open: true, linear: true}
	for _, name := range baselineCalls() {
		p.Rules = append(p.Rules, Rule{Names: []string{name}, Else: Errno(sysabi.EPERM)})
	}
	return p
}

func hardened() *Policy {
	return fromTable(&Policy{}, func(r *profileRow) byte { return r.hardened }, hardenedRules())
}

func strict() *Policy {
	return fromTable(&Policy{X32: KillProcess, ExecOnce: true}, func(r *profileRow) byte { return r.strict }, strictRules())
}

// fromTable adds one rule a verdict with all its names, and the argument rules.
func fromTable(p *Policy, column func(*profileRow) byte, rules []Rule) *Policy {
	p.Default = Errno(sysabi.ENOSYS)
	p.Rules = make([]Rule, 0, 4+len(rules))
	for _, v := range [...]byte{'a', 'p', 'n', 'k'} {
		n := 0
		for i := range profileTable {
			if column(&profileTable[i]) == v {
				n++
			}
		}
		if n == 0 {
			continue
		}
		names := make([]string, 0, n)
		for i := range profileTable {
			if r := &profileTable[i]; column(r) == v {
				names = append(names, r.name)
			}
		}
		p.Rules = append(p.Rules, Rule{Names: names, Else: verdict(v)})
	}
	p.Rules = append(p.Rules, rules...)
	return p
}
