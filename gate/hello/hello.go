// Package hello reads the first message of a TLS client, as far as it says whom the client means to talk to.
//
//	var c hello.Collector
//	for !c.Done() { n, err := conn.Read(buf); c.Write(buf[:n]) }
//	h, err := c.Hello()
//	h.Name // "api.example.com"
//
// The message may come in any number of records and segments (RFC 8446 section 5.1). Nothing is decrypted, and nothing is
// decided here: whether the name is the right one is the gate's to say.
package hello

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// MaxSize bounds the records of one ClientHello, in bytes. Post-quantum key shares make hellos of 2 KiB; nothing makes 64.
const MaxSize = 64 << 10

// A Hello is what a ClientHello says.
type Hello struct {
	Name      string   // server_name, lower case, without final dot; "" if there is none
	ALPN      []string // in the client's order
	ECH       bool     // encrypted_client_hello is there, real or a decoy (RFC 9849)
	EarlyData bool     // early_data is there: application data before the server answered (RFC 8446 section 4.2.10)
}

// Errors of a Collector.
var (
	ErrTooLong = errors.New("the ClientHello is longer than 64 KiB")
	ErrNotTLS  = errors.New("not a ClientHello")
	ErrName    = errors.New("the server name is no host name")
)

// A Collector puts a ClientHello together. The zero value is ready; it is not for concurrent use.
type Collector struct {
	raw  []byte // everything written
	msg  []byte // handshake bytes of the records so far
	at   int    // of raw, the next record
	done bool
	err  error
}

// Write takes what the client sent. The bytes are kept: Raw returns them.
func (c *Collector) Write(p []byte) (int, error) {
	c.raw = append(c.raw, p...)
	c.advance()
	return len(p), nil
}

// Raw is everything that was written. It is valid up to the next Write.
func (c *Collector) Raw() []byte { return c.raw }

// Done reports whether Hello has its answer.
func (c *Collector) Done() bool { return c.done }

func (c *Collector) fail(err error) { c.done, c.err = true, err }

func (c *Collector) advance() {
	for !c.done {
		rest := c.raw[c.at:]
		if len(rest) > 0 && rest[0] != 0x16 || len(rest) > 1 && rest[1] != 3 {
			c.fail(ErrNotTLS)
			return
		}
		if len(rest) < 5 {
			break
		}
		n := int(rest[3])<<8 | int(rest[4])
		if n == 0 || n > 1<<14 { // RFC 8446 section 5.1: no empty handshake records, none above 2^14
			c.fail(ErrNotTLS)
			return
		}
		if len(rest) < 5+n {
			break
		}
		c.msg = append(c.msg, rest[5:5+n]...)
		c.at += 5 + n
		if c.msg[0] != 1 {
			c.fail(ErrNotTLS)
			return
		}
		if len(c.msg) < 4 {
			continue
		}
		switch size := 4 + (int(c.msg[1])<<16 | int(c.msg[2])<<8 | int(c.msg[3])); {
		case size > MaxSize:
			c.fail(ErrTooLong)
		case len(c.msg) > size: // nothing may follow before the server answers (RFC 8446 section 5.1: key changes align with records)
			c.fail(ErrNotTLS)
		case len(c.msg) == size:
			c.done = true
		}
	}
	if !c.done && len(c.raw) > MaxSize {
		c.fail(ErrTooLong)
	}
}

// Hello returns the message. Precondition: Done.
func (c *Collector) Hello() (Hello, error) {
	if c.err != nil {
		return Hello{}, c.err
	}
	return parse(c.msg[4:])
}

// Extensions, IANA TLS ExtensionType values.
const (
	extServerName = 0
	extALPN       = 16
	extEarlyData  = 42
	extECH        = 0xfe0d
	extESNI       = 0xffce // the drafts before it
)

// parse reads the body of a ClientHello, RFC 8446 section 4.1.2.
func parse(body []byte) (h Hello, err error) {
	s := cryptobyte.String(body)
	var session, suites, compression, extensions cryptobyte.String
	var version uint16
	if !s.ReadUint16(&version) || version < 0x0300 || !s.Skip(32) || !s.ReadUint8LengthPrefixed(&session) || len(session) > 32 ||
		!s.ReadUint16LengthPrefixed(&suites) || len(suites) < 2 || len(suites)%2 != 0 ||
		!s.ReadUint8LengthPrefixed(&compression) || len(compression) == 0 {
		return h, ErrNotTLS
	}
	if s.Empty() {
		return h, nil // no extensions, so no name
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return h, ErrNotTLS
	}
	seen := map[uint16]bool{}
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) || seen[kind] {
			return h, ErrNotTLS // an extension twice is an error, RFC 8446 section 4.2; two names would mean two readers
		}
		seen[kind] = true
		switch kind {
		case extServerName:
			if h.Name, err = serverName(data); err != nil {
				return h, err
			}
		case extALPN:
			var list, proto cryptobyte.String
			if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
				return h, ErrNotTLS
			}
			for !list.Empty() {
				if !list.ReadUint8LengthPrefixed(&proto) || proto.Empty() {
					return h, ErrNotTLS
				}
				h.ALPN = append(h.ALPN, string(proto))
			}
		case extEarlyData:
			h.EarlyData = true
		case extECH, extESNI:
			h.ECH = true
		}
	}
	return h, nil
}

// serverName reads the one name of RFC 6066 section 3.
func serverName(data cryptobyte.String) (string, error) {
	var list, name cryptobyte.String
	var kind uint8
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || !list.ReadUint8(&kind) || kind != 0 ||
		!list.ReadUint16LengthPrefixed(&name) || !list.Empty() { // one name of type host_name; more than one is forbidden
		return "", ErrNotTLS
	}
	s := strings.TrimSuffix(strings.ToLower(string(name)), ".")
	if s == "" || len(s) > 253 {
		return "", ErrName
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return "", ErrName
		}
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", ErrName // an address is no server name, RFC 6066 section 3
	}
	return s, nil
}
