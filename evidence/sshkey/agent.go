package sshkey

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/publickey"
)

// Timeout bounds one request to the agent. Keys that ask for a touch or a confirmation take a person's time.
const Timeout = 30 * time.Second

// Message numbers of the agent protocol (draft-ietf-sshm-ssh-agent, section 5.1).
const (
	askIdentities = 11
	identities    = 12
	askSignature  = 13
	signature     = 14
)

// maxAnswer bounds an answer of the agent, in bytes: OpenSSH's own limit (authfd.c, MAX_AGENT_REPLY_LEN).
const maxAnswer = 256 << 10

// Agent signs through an agent. It may be used concurrently; requests go one after the other.
type Agent struct {
	mu   sync.Mutex
	conn net.Conn
	key  publickey.Key
	blob []byte // the key as the agent knows it
}

// Dial connects to the agent at the Unix socket path and makes sure that it has the key. Without a key it takes the only one of the
// agent's that can sign evidence.
func Dial(path string, key *publickey.Key) (*Agent, error) {
	if path == "" {
		return nil, errors.New("connecting to the ssh agent: no socket given (SSH_AUTH_SOCK)")
	}
	conn, err := net.DialTimeout("unix", path, Timeout)
	if err != nil {
		return nil, fmt.Errorf("connecting to the ssh agent: %w", err)
	}
	a := &Agent{conn: conn}
	if err := a.choose(key); err != nil {
		conn.Close()
		return nil, err
	}
	return a, nil
}

// choose finds the key among the agent's.
func (a *Agent) choose(key *publickey.Key) error {
	answer, err := a.ask(askIdentities, identities, nil)
	if err != nil {
		return fmt.Errorf("listing the ssh agent's keys: %w", err)
	}
	var fit []publickey.Key
	var blobs [][]byte
	r := reader{answer}
	for range r.number() {
		blob, _ := r.text(), r.text() // and a comment
		if len(r.b) == 1 && r.b[0] == 0 && blob == nil {
			break
		}
		public, _, err := parseBlob(blob)
		if err != nil || public == nil {
			continue
		}
		k, err := publickey.New(public)
		if err == nil && (key == nil || k.ID == key.ID) {
			fit, blobs = append(fit, k), append(blobs, bytes.Clone(blob))
		}
	}
	switch {
	case !r.end():
		return errors.New("listing the ssh agent's keys: the answer cannot be read")
	case len(fit) == 0 && key != nil:
		blob, _ := appendBlob(nil, key.Public)
		sum := sha256.Sum256(blob)
		return fmt.Errorf("the ssh agent does not have the key %s (SHA256:%s)", key.ID, base64.RawStdEncoding.EncodeToString(sum[:]))
	case len(fit) == 0:
		return errors.New("the ssh agent has no Ed25519 or ECDSA P-256 key")
	case len(fit) > 1 && key == nil:
		return fmt.Errorf("the ssh agent has %d keys that could sign; say which", len(fit))
	}
	a.key, a.blob = fit[0], blobs[0]
	return nil
}

// ask sends a request and returns the content of the answer, which must be of the kind want.
func (a *Agent) ask(kind, want byte, content []byte) ([]byte, error) {
	a.conn.SetDeadline(time.Now().Add(Timeout))
	request := binary.BigEndian.AppendUint32(nil, uint32(1+len(content)))
	request = append(append(request, kind), content...)
	if _, err := a.conn.Write(request); err != nil {
		return nil, err
	}
	var head [5]byte
	if _, err := io.ReadFull(a.conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxAnswer {
		return nil, fmt.Errorf("an answer of %d bytes: nobody there speaks the agent protocol", n)
	}
	answer := make([]byte, n-1)
	if _, err := io.ReadFull(a.conn, answer); err != nil {
		return nil, err
	}
	if head[4] != want {
		return nil, errors.New("it refuses") // SSH_AGENT_FAILURE has no reason
	}
	return answer, nil
}

// KeyID returns the id of the key.
func (a *Agent) KeyID() string { return a.key.ID }

// Public returns the public key.
func (a *Agent) Public() crypto.PublicKey { return a.key.Public }

// Sign asks the agent for a signature and checks it.
func (a *Agent) Sign(message []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	content := appendText(appendText(nil, string(a.blob)), string(message))
	answer, err := a.ask(askSignature, signature, binary.BigEndian.AppendUint32(content, 0)) // no flags: they are for RSA
	if err != nil {
		return nil, fmt.Errorf("asking the ssh agent for a signature: %w", err)
	}
	outer := reader{answer}
	inner := reader{outer.text()}
	kind, sig := string(inner.text()), inner.text()
	if !outer.end() || !inner.end() {
		return nil, errors.New("the ssh agent's signature cannot be read")
	}
	if kind == typeECDSA { // r and s as SSH writes numbers (RFC 5656, section 3.1.2)
		r := reader{sig}
		rs := struct{ R, S *big.Int }{new(big.Int).SetBytes(r.text()), new(big.Int).SetBytes(r.text())}
		if !r.end() {
			return nil, errors.New("the ssh agent's signature cannot be read")
		}
		if sig, err = asn1.Marshal(rs); err != nil {
			return nil, fmt.Errorf("writing the signature: %w", err)
		}
	}
	if !keys.Verify(a.key.Public, message, sig) {
		return nil, fmt.Errorf("the ssh agent's signature (%q) is not one of the key", kind)
	}
	return bytes.Clone(sig), nil
}

// Close ends the connection.
func (a *Agent) Close() error { return a.conn.Close() }
