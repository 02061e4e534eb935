package records

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/publickey"
	"cellos.io/cellos/evidence/sshkey"
)

const KeysUsage = `usage: cellos keys [list [--json] | new | show [--format FORM] [ID] | rotate]

The keys that sign evidence: Ed25519, private halves with mode 0600 in $XDG_CONFIG_HOME/cellos/keys, else ~/.config/cellos/keys. The first
run makes one.

  list      list them, the current one with a star (the default)
  new       make the first key, if there is none
  show      print a public key, the current one unless its id, or the beginning of it, is given; FORM is pem (the default), jwk or ssh
  rotate    make a new key and sign with it from now on; old private halves are removed, old public ones stay
`

// Keys is the command keys.
func Keys(args []string, env cli.Environment, ui *cli.Console) error {
	what := "list"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	set := flag.NewFlagSet("keys", flag.ContinueOnError)
	asJSON, form := false, "pem"
	switch what {
	case "list":
		set.BoolVar(&asJSON, "json", false, "")
	case "show":
		set.StringVar(&form, "format", form, "")
	}
	rest, _, err := cli.Parse(set, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.Out, KeysUsage)
		return err
	}
	if err == nil && len(rest) > 0 && what != "show" {
		err = errors.New("unexpected argument " + cli.Quote(rest[0]))
	}
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help keys").At("keys")
	}
	store, err := keyStore(env)
	if err != nil {
		return err
	}
	switch what {
	case "list":
		return listKeys(store, asJSON, env)
	case "new":
		key, made, err := store.Current()
		if err != nil {
			return err
		}
		if !made {
			ui.Note("there is a key already; cellos keys rotate makes another one")
		}
		_, err = fmt.Fprintln(env.Out, key.KeyID())
		return err
	case "rotate":
		key, err := store.Rotate()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(env.Out, key.KeyID())
		return err
	case "show":
		return showKey(store, strings.Join(rest, ""), form, env)
	}
	return cli.NewMistake("unknown word "+cli.Quote(what), "cellos help keys").At("keys")
}

// keyStore is where the user's keys are.
func keyStore(env cli.Environment) (*keys.Store, error) {
	state, err := cli.StateDir(env)
	if err != nil {
		return nil, err
	}
	return keys.Open(keys.Dir(env.Getenv, state), os.Geteuid()), nil
}

// keyLine is a key in the list for programs.
type keyLine struct {
	ID      string    `json:"id"`
	Current bool      `json:"current"`
	Private bool      `json:"private"` // the private half is there
	Created time.Time `json:"created"`
	Path    string    `json:"path"` // of the public half
}

func listKeys(store *keys.Store, asJSON bool, env cli.Environment) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	if asJSON {
		out := []keyLine{}
		for _, k := range list {
			out = append(out, keyLine{k.ID, k.Current, k.Private, k.Created, k.Path})
		}
		return cli.WriteJSON(env.Out, out)
	}
	for _, k := range list {
		mark := " "
		if k.Current {
			mark = "*"
		}
		private := "public half only"
		if k.Private {
			private = "private"
		}
		if _, err := fmt.Fprintf(env.Out, "%s %s  %s  %s  %s\n", mark, k.ID, k.Created.Local().Format(time.DateTime), private, cli.OneLine(k.Path)); err != nil {
			return err
		}
	}
	return nil
}

func showKey(store *keys.Store, id, form string, env cli.Environment) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	var fit []keys.Info
	for _, k := range list {
		if id == "" && k.Current || id != "" && (strings.HasPrefix(k.ID, id) || strings.HasPrefix(strings.TrimPrefix(k.ID, "sha256:"), id)) {
			fit = append(fit, k)
		}
	}
	switch len(fit) {
	case 0:
		return cli.NewMistake("no such key", "cellos keys lists them, and the first run makes one")
	case 1:
	default:
		return fmt.Errorf("%s is the beginning of %d keys", cli.Quote(id), len(fit))
	}
	k, err := publickey.New(fit[0].Public)
	if err != nil {
		return err
	}
	text, err := write(form, k)
	if err != nil {
		return err
	}
	_, err = env.Out.Write(text)
	return err
}

func write(form string, k publickey.Key) ([]byte, error) {
	switch form {
	case "pem":
		return publickey.PEM(k)
	case "jwk":
		return publickey.JWK(k)
	case "ssh":
		return sshkey.MarshalPublic(k)
	}
	return nil, cli.NewMistake("--format "+cli.Quote(form)+": unknown form", "pem, jwk or ssh").At("keys")
}
