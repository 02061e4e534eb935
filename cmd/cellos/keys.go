package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
)

const keysUsage = `usage: cellos keys [list | new | show [ID] | rotate]

The keys that sign evidence: Ed25519, private halves with mode 0600 in $XDG_CONFIG_HOME/cellos/keys, else ~/.config/cellos/keys. The first
run makes one.

  list      list them, the current one with a star (the default)
  new       make the first key, if there is none
  show      print a public key as PEM, the current one unless its id, or the beginning of it, is given
  rotate    make a new key and sign with it from now on; old private halves are removed, old public ones stay
`

func keysCommand(args []string, env environment, ui *console) error {
	set := flag.NewFlagSet("keys", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(env.out, keysUsage)
		return err
	} else if err != nil {
		return mistake{flagError(err.Error()), "cellos help keys"}.at("keys")
	}
	store, err := keyStore(env)
	if err != nil {
		return err
	}
	what := "list"
	if rest := set.Args(); len(rest) > 0 {
		what = rest[0]
	}
	if n := set.NArg(); n > 2 || n == 2 && what != "show" {
		return mistake{"unexpected argument " + quote(set.Arg(n-1)), "cellos help keys"}.at("keys")
	}
	switch what {
	case "list":
		return listKeys(store, env)
	case "new":
		key, made, err := store.Current()
		if err != nil {
			return err
		}
		if !made {
			ui.note("there is a key already; cellos keys rotate makes another one")
		}
		_, err = fmt.Fprintln(env.out, key.KeyID())
		return err
	case "rotate":
		key, err := store.Rotate()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(env.out, key.KeyID())
		return err
	case "show":
		return showKey(store, set.Arg(1), env)
	}
	return mistake{"unknown word " + quote(what), "cellos help keys"}.at("keys")
}

// keyStore is where the user's keys are.
func keyStore(env environment) (*keys.Store, error) {
	state, err := stateDir(env)
	if err != nil {
		return nil, err
	}
	return keys.Open(keys.Dir(env.getenv, state), os.Geteuid()), nil
}

func listKeys(store *keys.Store, env environment) error {
	list, err := store.List()
	if err != nil {
		return err
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
		fmt.Fprintf(env.out, "%s %s  %s  %s  %s\n", mark, k.ID, k.Created.Local().Format(time.DateTime), private, k.Path)
	}
	return nil
}

func showKey(store *keys.Store, id string, env environment) error {
	list, err := store.List()
	if err != nil {
		return err
	}
	for _, k := range list {
		if id == "" && k.Current || id != "" && (strings.HasPrefix(k.ID, id) || strings.HasPrefix(strings.TrimPrefix(k.ID, "sha256:"), id)) {
			_, err := env.out.Write(keys.MarshalPublic(k.Public))
			return err
		}
	}
	return withText("no such key", "cellos keys lists them")
}

// signer is the key that a run is signed with. The first one is made on the way, and said so once.
func signer(env environment, ui *console) (evidence.Signer, error) {
	store, err := keyStore(env)
	if err != nil {
		return nil, err
	}
	key, made, err := store.Current()
	if err != nil {
		return nil, fmt.Errorf("no evidence, no execution: %w", err)
	}
	if made {
		ui.note("made a key that signs the records of your runs: " + key.KeyID() + " in " + store.Path())
	}
	return key, nil
}
