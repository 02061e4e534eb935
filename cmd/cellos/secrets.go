package main

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/outbound"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/secret/broker"
	"cellos.io/cellos/secret/delivery"
	"cellos.io/cellos/secret/oidc"
	"cellos.io/cellos/secret/vault"
	"cellos.io/cellos/variable"
)

// A runSecrets is the delivery of one run's secrets.
type runSecrets struct {
	*delivery.Session
	folder string // of the socket; "": the host has none
}

// Withdraw ends the delivery; the socket and its folder go.
func (s *runSecrets) Withdraw() error {
	s.Session.Withdraw()
	if s.folder == "" {
		return nil
	}
	return delivery.RemoveFolder(s.folder)
}

// Meter tells how often each secret was taken, and which ones were asked for in vain.
func (s *runSecrets) Meter(u *evidence.Usage) {
	taken, denied := s.Counts()
	for i := range u.Secrets {
		if u.Secrets[i].Placeholder = slices.Contains(s.Injected, u.Secrets[i].Name); u.Secrets[i].Placeholder {
			continue // the gate counts
		}
		n := taken[u.Secrets[i].Name]
		u.Secrets[i].Taken = &n
	}
	for key, n := range denied {
		for range n {
			u.Deny(evidence.DeniedSecret, key, "spec.authority.secretRefs")
		}
	}
}

// secretsFolder makes the folder of the socket, if the command asks for its secrets, and grants it. release removes it again; a run does so
// before.
func secretsFolder(auth *authority.Authority, env cli.Environment) (folder string, release func(), err error) {
	if !plan.AsksForSecrets(auth) {
		return "", func() {}, nil
	}
	if folder, err = delivery.Folder(env.Vars.TempDir()); err != nil {
		return "", nil, err
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return "", nil, err
	}
	auth.Files = append(auth.Files, plan.SecretsGrant(folder))
	return folder, func() { delivery.RemoveFolder(folder) }, nil
}

// secrets composes the delivery of a document's secrets; nil if there is nothing to deliver. The folder has the socket on which requests come; ""
// means that none do, or by the backend.
func secrets(auth *authority.Authority, g *grants, folder string, env cli.Environment) (*runSecrets, error) {
	if len(auth.Secrets) == 0 && !plan.AsksForSecrets(auth) {
		return nil, nil
	}
	s := &delivery.Session{Mode: auth.Delivery, Keys: auth.Secrets, Injected: auth.Injected(), TTL: auth.Limits.Lifetime, At: plan.SecretsAt + "/" + delivery.SocketName}
	if folder != "" {
		s.Socket = filepath.Join(folder, delivery.SocketName)
	}
	if i := auth.Identity; i != nil {
		s.Alias, s.Audience, s.AliasTTL = i.SecretRef, i.Audience, i.TTL
	}
	switch {
	case len(auth.Secrets) == 0:
	case len(g.secrets) > 0:
		s.Broker = g.broker(env)
	default:
		var err error
		if s.Broker, err = chosenBroker(auth, env); err != nil {
			return nil, cli.Failure{Code: cli.ExitRefused, Errs: cli.Split(err)}
		}
	}
	return &runSecrets{s, folder}, nil
}

// chosenBroker makes the broker that CELLOS_BROKER names.
func chosenBroker(auth *authority.Authority, env cli.Environment) (broker.Broker, error) {
	word, err := env.Vars.Word(variable.Broker)
	if err != nil {
		return nil, err
	}
	switch word {
	case "env":
		return broker.Env{Lookup: env.Vars.Lookup}, nil
	case "file":
		return broker.File{Lookup: env.Vars.Lookup}, nil
	case "memory":
		return broker.Memory{Cell: auth.ID}, nil
	case "github-oidc":
		return oidcBroker(env)
	case "vault-approle":
		return vaultBroker(env)
	}
	return nil, cli.NewMistake("the document has secrets, and CELLOS_BROKER does not say where they come from",
		"set CELLOS_BROKER to env, file, github-oidc or vault-approle")
}

func oidcBroker(env cli.Environment) (broker.Broker, error) {
	roots, rerr := roots(env)
	connect, cerr := env.Vars.Millis(variable.BrokerOIDCConnectTimeout)
	total, terr := env.Vars.Millis(variable.BrokerOIDCTimeout)
	return oidc.Broker{
		URL:    func() string { return env.Vars.Text(variable.OIDCRequestURL) },
		Token:  func() string { return env.Vars.Text(variable.OIDCRequestToken) },
		Client: outbound.Client(outbound.Config{Connect: connect, Total: total, Roots: roots}),
	}, errors.Join(rerr, cerr, terr)
}

func vaultBroker(env cli.Environment) (broker.Broker, error) {
	roots, rerr := roots(env)
	connect, cerr := env.Vars.Millis(variable.VaultConnectTimeout)
	total, terr := env.Vars.Millis(variable.VaultTimeout)
	trim := func(n variable.Line) string { return strings.Trim(env.Vars.Line(n), "/") }
	b := &vault.Broker{
		Addr:      strings.TrimRight(env.Vars.Line(variable.VaultAddr), "/"),
		Namespace: env.Vars.Line(variable.VaultNamespace),
		RoleID:    env.Vars.Text(variable.VaultRoleID),
		SecretID:  secret.FromString(env.Vars.Text(variable.VaultSecretID)),
		Mount:     trim(variable.VaultKVMount),
		Prefix:    trim(variable.VaultKVPathPrefix),
		Client:    outbound.Client(outbound.Config{Connect: connect, Total: total, Roots: roots}),
	}
	if b.Mount == "" {
		b.Mount = "secret"
	}
	errs := []error{rerr, cerr, terr}
	if err := b.Check(); err != nil {
		errs = append(errs, variable.Errorf(variable.VaultAddr, "vault-approle broker init: %v", err))
	}
	for _, n := range []variable.Text{variable.VaultRoleID, variable.VaultSecretID} {
		if strings.TrimSpace(env.Vars.Text(n)) == "" {
			errs = append(errs, variable.Errorf(n, "is not set; CELLOS_BROKER=vault-approle needs it"))
		}
	}
	return b, errors.Join(errs...)
}

// roots reads the certificates of CELLOS_CA_BUNDLE; nil if it is not set.
func roots(env cli.Environment) (*x509.CertPool, error) {
	file, set := env.Vars.Path(variable.CABundle)
	if !set {
		return nil, nil
	}
	pool, err := outbound.Roots(file)
	if err != nil {
		err = variable.Errorf(variable.CABundle, "%v", err)
	}
	return pool, err
}

const secretUsage = `usage: cellos secret get KEY

Inside a cell whose secrets are delivered on request: prints one of them, as it is. It asks the socket that CELLOS_RUNTIME_SECRET_SOCKET
names, with CELLOS_RUNTIME_SECRET_TOKEN. Exit status 1 if it is refused.
`

func secretCommand(args []string, env cli.Environment, ui *cli.Console) error {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		_, err := io.WriteString(env.Out, secretUsage)
		return err
	}
	if len(args) != 2 || args[0] != "get" {
		return cli.NewMistake("one key is required: secret get KEY", "cellos help secret").At("secret")
	}
	socket, _ := env.Vars.Path(variable.RuntimeSecretSocket)
	token := env.Vars.Text(variable.RuntimeSecretToken)
	if socket == "" || token == "" {
		return cli.NewMistake("CELLOS_RUNTIME_SECRET_SOCKET and CELLOS_RUNTIME_SECRET_TOKEN are not set", "it works in a cell whose document has secretDelivery runtimeBroker or runtimeLeasedBroker")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := delivery.Get(ctx, socket, token, args[1])
	if err != nil {
		return err
	}
	defer v.Wipe()
	return v.Use(func(b []byte) error { _, err := env.Out.Write(b); return err })
}
