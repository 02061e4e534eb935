package authority

import (
	"fmt"
	"slices"
	"strings"

	"cellos.io/cellos/document"
)

// An Injection is a secret that the gate puts into the requests of a rule, in place of whatever the command sends in that header.
type Injection struct {
	Secret string // one of Authority.Secrets
	Header string // name of the field, as the document writes it
	Prefix string // before the value
	From   string // spec.authority.egressRules[2].inject[0]
}

// TrustAt is the folder of a cell in which a command finds the certificate of the authority that vouches for the names whose TLS the gate
// opens: alone (TrustOwn), and together with what the host trusts (TrustAll).
const (
	TrustAt  = "/run/cellos-ca"
	TrustOwn = "ca.crt"
	TrustAll = "bundle.crt"
)

// trustVariables are where programs look for certificates that bring their own list of them, or read one that the cell may not have. What a
// document sets is left alone; variables that overrule a program's own configuration (GIT_SSL_CAINFO, CARGO_HTTP_CAINFO) are not set.
var trustVariables = []Variable{
	{"AWS_CA_BUNDLE", TrustAt + "/" + TrustAll},  // botocore
	{"CURL_CA_BUNDLE", TrustAt + "/" + TrustAll}, // curl(1)
	{"DENO_CERT", TrustAt + "/" + TrustOwn},
	{"NODE_EXTRA_CA_CERTS", TrustAt + "/" + TrustOwn},
	{"PIP_CERT", TrustAt + "/" + TrustAll},
	{"REQUESTS_CA_BUNDLE", TrustAt + "/" + TrustAll}, // Python's requests
	{"SSL_CERT_FILE", TrustAt + "/" + TrustAll},      // OpenSSL, Python's ssl, Go's crypto/x509
}

// Injected lists the secrets that go into requests, each once. The command has placeholders for them.
func (a *Authority) Injected() (names []string) {
	for _, r := range a.Network {
		for _, x := range r.Inject {
			names = append(names, x.Secret)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Opened lists the names whose TLS the gate opens, each once.
func Opened(rules []Rule) (names []string) {
	for _, r := range rules {
		if len(r.Inject) > 0 {
			names = append(names, r.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// injections are those of rule i.
func injections(i int, list []document.Injection) (all []Injection) {
	for j, x := range list {
		in := Injection{Secret: x.Secret, Header: x.Header, From: fmt.Sprintf("spec.authority.egressRules[%d].inject[%d]", i, j)}
		if x.Prefix != nil {
			in.Prefix = *x.Prefix
		}
		all = append(all, in)
	}
	return all
}

// trust tells the command's programs where the certificate is.
func (a *Authority) trust() {
	if len(Opened(a.Network)) == 0 {
		return
	}
	for _, v := range trustVariables {
		if _, set := a.Command.Lookup(v.Name); !set {
			a.Command.Env = append(a.Command.Env, v)
		}
	}
	slices.SortFunc(a.Command.Env, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
}
