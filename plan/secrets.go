package plan

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/document"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/table"
	"cellos.io/cellos/variable"
)

// SecretsAt is the folder of the cell in which a command finds the socket that serves its secrets.
const SecretsAt = "/run/cellos"

// SecretsGrant is the grant of the folder host, which has the socket. The supervisor adds it to an authority whose secrets are delivered
// on request.
func SecretsGrant(host string) authority.Grant {
	return authority.Grant{Host: host, At: SecretsAt, Access: authority.CanRead, From: "spec.run.secretDelivery"}
}

// AsksForSecrets reports whether a command gets its secrets on request: then it has a socket to ask on, also when there are none.
func AsksForSecrets(a *authority.Authority) bool {
	return (a.Delivery == document.DeliverRuntimeBroker || a.Delivery == document.DeliverRuntimeLeasedBroker) && len(a.Command.Argv) > 0
}

// dangerous reports whether an environment variable changes how programs are found, loaded, or started, or is cellos' own.
func dangerous(name string) bool {
	return slices.Contains([]string{"PATH", "IFS", "ENV", "BASH_ENV", "GLIBC_TUNABLES", "CELLOS_SECRET_DELIVERY"}, name) ||
		strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, strings.TrimSuffix(string(variable.RuntimeSecretToken), "TOKEN"))
}

// secrets refuses secrets whose delivery would do something else than delivering them.
func (p *planner) secrets() {
	a := p.a
	var names []string
	switch {
	case AsksForSecrets(a):
		names = []string{"CELLOS_SECRET_DELIVERY", "CELLOS_RUNTIME_SECRET_SOCKET", "CELLOS_RUNTIME_SECRET_TOKEN"}
		if len(a.Secrets) > 0 && strings.Contains(a.Syscalls, "net-none") {
			p.refuse("spec.run.secretDelivery", "delivering secrets on a socket: the seccomp profile "+a.Syscalls+" has no sockets", "use secretDelivery env, or a profile without net-none")
		}
	case a.Delivery == document.DeliverEnv:
		for i, s := range a.Secrets {
			if !dangerous(s) {
				names = append(names, s)
			} else {
				p.refuse(fmt.Sprintf("spec.authority.secretRefs[%d]", i), "a variable "+s+" would change how programs start", "give the secret another name, or use secretDelivery runtimeBroker")
			}
		}
	}
	if a.Scrub != "" && a.Command.Terminal {
		p.refuse(a.Scrub, "taking secrets out of what is drawn on a terminal, which is no text", "leave out the terminal, or the scrubbing")
	}
	for _, n := range names {
		if _, set := a.Command.Lookup(n); set {
			p.refuse("spec.run.environment."+n, "the variable is the secret's", "leave it out")
		}
	}
}

// saysSecrets tells how the command gets its secrets.
func (p *planner) saysSecrets() {
	a := p.a
	if len(a.Secrets) == 0 {
		return
	}
	injected := a.Injected()
	if len(injected) > 0 {
		p.can("see placeholders in place of the secrets "+and(injected)+", which the gate puts into requests", LayerFDs)
		p.cannot("see the values of the secrets "+and(injected), LayerFDs, LayerGate)
	}
	names := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(a.Secrets))), func(s string) bool { return slices.Contains(injected, s) })
	if len(names) == 0 {
		return
	}
	list := and(names)
	if a.Delivery == document.DeliverEnv {
		p.can("see the secrets "+list+" in its environment", LayerFDs)
		return
	}
	p.can("ask for the secrets "+list+" on a socket in "+SecretsAt, LayerMount, LayerWatch)
}

// saysScrub tells what becomes of secrets in the output.
func (p *planner) saysScrub() {
	if p.a.Scrub != "" {
		p.cannot("print the value of a secret, as it is, in base64, hexadecimal or percent-encoding or with the escapes of JSON, without its being replaced", LayerWatch)
	}
}

// WithSecrets is the table of the plan with variables added to the command's environment. Their values are in no plan and are not printed.
func (p *Plan) WithSecrets(vars []secret.Variable) table.Table {
	if len(vars) == 0 {
		return p.Table
	}
	t := slices.Clone(p.Table)
	last := &t[len(t)-1] // start appended it: execveat(init, "", argv, env, AT_EMPTY_PATH)
	last.Args = slices.Clone(last.Args)
	last.Args[3] = last.Args[3].With(vars)
	return t
}
