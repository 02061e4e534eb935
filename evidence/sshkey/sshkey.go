// Package sshkey uses OpenSSH keys for evidence: it reads public keys as authorized_keys has them, and signs through an
// agent, so that the private key can live in a hardware token.
//
//	list, err := sshkey.ParsePublic(text)             // "ssh-ed25519 AAAA… comment"
//	signer, err := sshkey.Dial(os.Getenv("SSH_AUTH_SOCK"), list[0])
//	stream, err := evidence.Open(evidence.Config{Signer: signer, …})
//
// The signatures are plain Ed25519 or ECDSA signatures of the message, as any other signer's; they are not in the format of
// ssh-keygen -Y. Keys of type sk-ssh-ed25519@openssh.com sign something else (a challenge of the token), so they are refused.
// The package is apart because golang.org/x/crypto/ssh costs 0.12 ms at the start of the program.
package sshkey

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/publickey"
)

// IsPublic reports whether text looks like lines for ParsePublic.
func IsPublic(text []byte) bool {
	text = bytes.TrimSpace(text)
	for _, p := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		if bytes.HasPrefix(text, []byte(p)) {
			return true
		}
	}
	return false
}

// ParsePublic reads public keys, one a line: ssh-ed25519 or ecdsa-sha2-nistp256. Any line that is neither one of these nor
// empty nor a comment is an error.
func ParsePublic(text []byte) ([]publickey.Key, error) {
	var list []publickey.Key
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, errors.New("no OpenSSH public key")
	}
	return list, nil
}

func parseLine(line string) (publickey.Key, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return publickey.Key{}, errors.New("not an OpenSSH public key")
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256:
		return publickey.New(key.(ssh.CryptoPublicKey).CryptoPublicKey())
	}
	return publickey.Key{}, fmt.Errorf("a key of type %s; want ssh-ed25519 or ecdsa-sha2-nistp256", key.Type())
}

// Timeout bounds one request to the agent. Keys that ask for a touch or a confirmation take a person's time.
const Timeout = 30 * time.Second

// Agent signs through an agent. It may be used concurrently; requests go one after the other.
type Agent struct {
	mu     sync.Mutex
	conn   net.Conn
	client agent.ExtendedAgent
	key    publickey.Key
	wire   ssh.PublicKey
}

// Dial connects to the agent at the Unix socket path and makes sure that it has the key.
func Dial(path string, key publickey.Key) (*Agent, error) {
	if path == "" {
		return nil, errors.New("connecting to the ssh agent: no socket given (SSH_AUTH_SOCK)")
	}
	conn, err := net.DialTimeout("unix", path, Timeout)
	if err != nil {
		return nil, fmt.Errorf("connecting to the ssh agent: %w", err)
	}
	a := &Agent{conn: conn, client: agent.NewClient(conn), key: key}
	if a.wire, err = ssh.NewPublicKey(key.Public); err == nil {
		err = a.offered()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return a, nil
}

// offered makes sure that the agent has the key.
func (a *Agent) offered() error {
	a.conn.SetDeadline(time.Now().Add(Timeout))
	list, err := a.client.List()
	if err != nil {
		return fmt.Errorf("listing the ssh agent's keys: %w", err)
	}
	for _, k := range list {
		if bytes.Equal(k.Blob, a.wire.Marshal()) {
			return nil
		}
	}
	return fmt.Errorf("the ssh agent does not have the key %s (%s)", a.key.ID, ssh.FingerprintSHA256(a.wire))
}

// KeyID returns the id of the key.
func (a *Agent) KeyID() string { return a.key.ID }

// Public returns the public key.
func (a *Agent) Public() crypto.PublicKey { return a.key.Public }

// Sign asks the agent for a signature and checks it.
func (a *Agent) Sign(message []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn.SetDeadline(time.Now().Add(Timeout))
	s, err := a.client.Sign(a.wire, message)
	if err != nil {
		return nil, fmt.Errorf("asking the ssh agent: %w", err)
	}
	sig := s.Blob
	if s.Format == ssh.KeyAlgoECDSA256 { // r and s as SSH writes numbers (RFC 5656, section 3.1.2)
		var rs struct{ R, S *big.Int }
		if err := ssh.Unmarshal(s.Blob, &rs); err != nil {
			return nil, errors.New("the ssh agent's signature cannot be read")
		}
		if sig, err = asn1.Marshal(rs); err != nil {
			return nil, fmt.Errorf("writing the signature: %w", err)
		}
	}
	if !keys.Verify(a.key.Public, message, sig) {
		return nil, fmt.Errorf("the ssh agent's signature (%s) is not one of the key", s.Format)
	}
	return sig, nil
}

// Close ends the connection.
func (a *Agent) Close() error { return a.conn.Close() }
