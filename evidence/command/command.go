// Package command signs evidence by running a program, for keys that neither a file nor an ssh agent holds: a PKCS #11 tool,
// a cloud KMS client, a colleague's script.
//
//	signer := &command.Signer{Argv: []string{"/usr/local/bin/sign", "--slot", "1"}, ID: key.ID, Public: key.Public}
//
// The program gets the message on standard input and writes the signature to standard output, either the bytes or base64, and
// exits with 0. It is run once for each event. Its signatures are checked, so that a program that signs with another key stops
// the run and not, years later, its verification.
package command

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"cellos.io/cellos/evidence/keys"
)

// Signer runs a program. It implements evidence.Signer.
type Signer struct {
	Argv    []string
	ID      string           // key id
	Public  crypto.PublicKey // the key that it signs with
	Timeout time.Duration    // of one run; zero: DefaultTimeout
}

// DefaultTimeout bounds one run of the program: a person may have to touch a token.
const DefaultTimeout = 30 * time.Second

// maxSignature bounds what is read from the program, in bytes: four times the longest signature in base64.
const maxSignature = 512

// KeyID returns the key id.
func (s *Signer) KeyID() string { return s.ID }

// Sign runs the program.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	if len(s.Argv) == 0 {
		return nil, errors.New("running the signing command: no command given")
	}
	limit := s.Timeout
	if limit <= 0 {
		limit = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Argv[0], s.Argv[1:]...)
	cmd.Stdin = bytes.NewReader(message)
	out, problem := &limited{max: maxSignature}, &limited{max: maxSignature}
	cmd.Stdout, cmd.Stderr = out, problem
	cmd.WaitDelay = time.Second // for grandchildren that keep the pipes open
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("running the signing command %s: no answer within %v", s.Argv[0], limit)
	case err != nil:
		return nil, fmt.Errorf("running the signing command %s: %w%s", s.Argv[0], err, problem.said())
	}
	for _, sig := range candidates(out.b) {
		if keys.Verify(s.Public, message, sig) {
			return sig, nil
		}
	}
	return nil, fmt.Errorf("the signing command %s: what it wrote (%d bytes) is not a signature of key %s", s.Argv[0], len(out.b), s.ID)
}

// candidates returns the ways to read the output.
func candidates(out []byte) [][]byte {
	list := [][]byte{out}
	text := strings.Join(strings.Fields(string(out)), "")
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if sig, err := e.DecodeString(text); err == nil {
			list = append(list, sig)
		}
	}
	return list
}

// limited keeps the first max bytes that are written to it.
type limited struct {
	b   []byte
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	l.b = append(l.b, p[:min(len(p), l.max-len(l.b))]...)
	return len(p), nil
}

// said returns the first line for an error message.
func (l *limited) said() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(l.b)), "\n")
	if line == "" {
		return ""
	}
	return fmt.Sprintf(": %q", line)
}
