package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/certificates"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/wire"
	"cellos.io/cellos/outbound"
	"cellos.io/cellos/variable"
)

// trusting makes the certificates of a cell whose gate opens TLS, and grants them.
func (a *asked) trusting(auth *authority.Authority, to backends.Chosen, env cli.Environment) (err error) {
	var tree *certificates.Tree
	if auth.Image != nil && to.Tree != nil && len(authority.Opened(auth.Network)) > 0 {
		if tree, err = to.Tree(auth); err != nil {
			return err
		}
		defer tree.Close()
	}
	if a.trusted, err = certificates.Make(env.Vars.TempDir(), auth, tree); a.trusted == nil {
		return err
	}
	before := a.release
	a.release = func() {
		certificates.Remove(a.trusted.Path)
		if before != nil {
			before()
		}
	}
	return nil
}

// vouchers adds to what the gate is told who vouches for the servers that get secrets.
func vouchers(c *wire.Config, auth *authority.Authority, env cli.Environment) error {
	if len(authority.Opened(auth.Network)) == 0 {
		return nil
	}
	c.Life = auth.Limits.Lifetime
	file, set := env.Vars.Path(variable.CABundle)
	if !set {
		return nil
	}
	var err error
	if c.Roots, _, err = outbound.Bundle(file); err != nil {
		return variable.Errorf(variable.CABundle, "%v", err)
	}
	return nil
}

// rootsAt are the variables that say where root certificates are instead of where the system has them.
func rootsAt(vars variable.Env) (list []string) {
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v := vars.Raw(name); v != "" {
			list = append(list, name+"="+v)
		}
	}
	return list
}

// vouched waits for the authority that the gate makes, and has the cell trust it. It returns the certificate's digest; "" if there is none.
func (a *asked) vouched(n *network, auth *authority.Authority, given *runSecrets) (digest string, err error) {
	if a.trusted == nil || n == nil {
		return "", nil
	}
	der, err := n.gate.Certificate()
	if err != nil {
		return "", err
	}
	n.rules = auth.Network
	if given != nil {
		n.values = given.Gated
	}
	if err := a.trusted.Write(der); err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return fmt.Sprintf("sha256:%s", hex.EncodeToString(sum[:])), nil
}

// injected is how many requests a secret was put into.
func (n *network) injected(name string, use *evidence.NetworkUse) *int64 {
	var all int64
	for i, r := range n.rules {
		if slices.ContainsFunc(r.Inject, func(x authority.Injection) bool { return x.Secret == name }) && i < len(use.Rules) {
			all += use.Rules[i].Requests
		}
	}
	return &all
}

// folders are those outside of the run's record that a crash would leave.
func (a *asked) folders() (list []string) {
	if a.folder != "" {
		list = append(list, a.folder)
	}
	if a.trusted != nil {
		list = append(list, a.trusted.Path)
	}
	return list
}
