package records

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"

	external "cellos.io/cellos/evidence/command"
	"cellos.io/cellos/evidence/privatekey"
	"cellos.io/cellos/evidence/publickey"
	"cellos.io/cellos/evidence/sshkey"
	"cellos.io/cellos/variable"
)

// Signing is what the flags --signer and --signer-key say.
type Signing struct{ with, key string }

const SignerUsage = `  --signer WHAT           what signs, default: your own key (cellos keys). file:KEY is a private key in PEM (Ed25519, or ECDSA on P-256), agent[:SOCKET] an ssh
                          agent, command:PROGRAM [ARG...] a program that gets the message on standard input and prints its signature
  --signer-key FILE       the public key of an agent or a program; an agent that has one key only needs none
`

var SignerFlagNames = []string{"--signer", "--signer-key"}

// Register adds the flags to a set.
func (s *Signing) Register(set *flag.FlagSet) {
	set.StringVar(&s.with, "signer", "", "")
	set.StringVar(&s.key, "signer-key", "", "")
}

// Signer is what a record is signed with. The user's first key is made on the way, and said so once.
func (s Signing) Signer(env cli.Environment, ui *cli.Console) (evidence.Signer, error) {
	kind, rest, _ := strings.Cut(s.with, ":")
	if s.with == "" || kind == "file" {
		if s.key != "" {
			return nil, cli.NewMistake("--signer-key names the key of an agent or a program, and there is none", "give --signer agent or --signer command:PROGRAM too").At("")
		}
		if s.with != "" {
			return privatekey.ReadFile(rest, os.Geteuid())
		}
		return ownKey(env, ui)
	}
	var public *publickey.Key
	if s.key != "" {
		list, err := PublicKeys(s.key)
		if err != nil {
			return nil, err
		}
		if len(list) != 1 {
			return nil, fmt.Errorf("%s: %d keys; one is wanted", s.key, len(list))
		}
		public = &list[0]
	}
	switch kind {
	case "agent":
		if rest == "" {
			rest = env.Vars.Raw(string(variable.SSHAuthSock))
		}
		a, err := sshkey.Dial(rest, public)
		if err != nil {
			return nil, err
		}
		return a, nil
	case "command":
		argv := strings.Fields(rest)
		switch {
		case len(argv) == 0:
			return nil, cli.NewMistake("--signer command: names no program", "--signer command:/usr/local/bin/sign").At("")
		case public == nil:
			return nil, cli.NewMistake("--signer command: whose key does it sign with?", "name its public key with --signer-key FILE").At("")
		}
		path, err := exec.LookPath(argv[0])
		if err != nil {
			return nil, fmt.Errorf("--signer command: %w", err)
		}
		return &external.Signer{Argv: append([]string{path}, argv[1:]...), ID: public.ID, Public: public.Public}, nil
	}
	return nil, cli.NewMistake("--signer "+cli.Quote(cli.Brief(s.with))+": unknown kind", "file:KEY, agent[:SOCKET] or command:PROGRAM").At("")
}

// Files are those that no command may read.
func (s Signing) Files() []string {
	if path, ok := strings.CutPrefix(s.with, "file:"); ok {
		return []string{path}
	}
	return nil
}

// ownKey is the user's own key.
func ownKey(env cli.Environment, ui *cli.Console) (evidence.Signer, error) {
	store, err := keyStore(env)
	if err != nil {
		return nil, err
	}
	key, made, err := store.Current()
	if err != nil {
		return nil, fmt.Errorf("no evidence, no execution: %w", err)
	}
	if made {
		ui.Note("made a key that signs the records of your runs: " + key.KeyID() + " in " + store.Path())
	}
	return key, nil
}

// PublicKeys reads a file of public keys in any of the forms.
func PublicKeys(file string) ([]publickey.Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	read := publickey.Parse
	if sshkey.IsPublic(bytes.TrimSpace(text)) {
		read = sshkey.ParsePublic
	}
	list, err := read(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}
