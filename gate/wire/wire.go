// Package wire is what the supervisor and the gate say to each other: the gate is a process of its own (cmd/cellos-gate), so that a run
// without network does not pay for a TCP/IP stack and TLS, and so that whoever breaks the code that reads a cell's packets has not
// broken the supervisor.
//
//	supervisor                                   gate
//	config                            ─────────▶                   at once; the gate gets ready, while the cell is built
//	                                  ◀───────── vouch             if a rule injects secrets
//	values, in descriptors            ─────────▶                   if a rule injects secrets
//	open, with the link's descriptors ─────────▶
//	                                  ◀───────── ready
//	release                           ─────────▶
//	                                  ◀───────── event …            a decision; before its effect it is in the file (PutAhead)
//	                                  ◀───────── sync               or waited for
//	written                           ─────────▶
//	                                  ◀───────── denied             a refusal that is new
//	close                             ─────────▶
//	                                  ◀───────── event …, account
//
// Each message is a length of four bytes, big-endian, and a JSON object, on a stream socket. Whoever reads its end ends too.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
)

// A Config is what a gate enforces, and with what.
type Config struct {
	Rules []authority.Rule
	Names authority.Names

	// Cell, Cell6 and Gate are the two ends of the link; StandIns are for names.
	Cell, Cell6, Gate netip.Addr
	StandIns          netip.Prefix
	MTU               int // of the link, in bytes

	Servers []Server // that are asked for names; none: the host's, and its hosts file

	Trust evidence.Trust // of the events about names
	L7Kid string         // issuer of the decisions on names in connections
	Drift bool           // write when a name leads to other addresses than before
	Life  time.Duration  // of the run, at most: certificates are valid for it
	Roots []byte         // certificates in PEM of those who vouch for the servers that get secrets, besides the host's
	Every time.Duration  // ask for the names that often while the cell runs, and write what changed; 0: only connections ask
}

// A Transport carries a question to a server.
type Transport string

// The transports, as documents name them.
const (
	UDP   Transport = "do53-udp" // RFC 1035; over TCP where the answer is cut off
	TCP   Transport = "do53-tcp"
	TLS   Transport = "dot" // RFC 7858
	HTTPS Transport = "doh" // RFC 8484, POST
)

// A Server answers questions.
type Server struct {
	ID        string // resolverId; "" for the host's own
	Transport Transport
	Endpoint  string // host:port; for HTTPS a URL
	Name      string // TLS: the name in the certificate; "" means the host of Endpoint
}

// Refused is a connection or a name that the cell asked for and did not get.
type Refused struct {
	Name   string // "" if the cell went to an address that stands for no name
	Addr   netip.AddrPort
	UDP    bool
	Reason string     // reason code of the event
	Why    string     // in words, where the reason alone does not tell
	Lead   netip.Addr // the address that the name leads to, where that is why and a grant can allow it
	Count  int64
}

// A Question is put before there is a cell; its answers are events.
type Question struct {
	Hosts   bool // where the rules' hosts lead to, one event for each rule
	Refresh bool // the document's names, once, as Config.Every does
}

// Kinds of messages.
const (
	Prepare = "prepare" // first: what the gate enforces
	Ask     = "ask"     // in place of Open; events and Ready come back
	Vouch   = "vouch"   // after Prepare, where a rule injects secrets: the certificate of the gate's own authority
	Values  = "values"  // before Open: the secrets, each in a descriptor
	Open    = "open"
	Ready   = "ready"
	Release = "release"
	Event   = "event"
	Sync    = "sync"
	Written = "written"
	Denied  = "denied"
	Failed  = "failed"
	Close   = "close"
	Account = "account"
)

// A Message is one message; which members it has depends on its kind.
type Message struct {
	Kind     string
	Files    int             `json:",omitempty"` // descriptors that come with it
	Ethernet bool            `json:",omitempty"` // Open: the device has frames
	Offload  bool            `json:",omitempty"` // Open: its packets have a header, see gate.Link
	Device   bool            `json:",omitempty"` // Open: the first descriptor is a device
	Ring     bool            `json:",omitempty"` // Open: the last descriptor is the file of what is written ahead
	Source   string          `json:",omitempty"` // Event
	Payload  string          `json:",omitempty"` // Event: which one
	Data     json.RawMessage `json:",omitempty"` // Event; and what follows, see encoding.go
	ID       uint64          `json:",omitempty"` // Sync, Written
	Ahead    uint64          `json:",omitempty"` // Event: its number, if it was written ahead; Written: of the last one in the chain
	Error    string          `json:",omitempty"` // Ready, Written, Failed

	Config      *Config              `json:"-"` // Prepare
	Question    *Question            `json:"-"` // Ask
	Certificate []byte               `json:"-"` // Vouch, in DER
	Secrets     []string             `json:"-"` // Values: names, in the order of the descriptors
	Refused     []Refused            `json:"-"` // Denied, Account
	Use         *evidence.NetworkUse `json:"-"` // Account
}

// maxMessage bounds a message, in bytes: above every account that a gate can make.
const maxMessage = 4 << 20

// A Conn is one end. Send and Put may be called concurrently, Receive by one goroutine.
type Conn struct {
	c  *net.UnixConn
	mu sync.Mutex

	in    []byte // received, and not a message yet
	files []*os.File
}

// NewConn takes over one end of a stream socket pair.
func NewConn(f *os.File) (*Conn, error) {
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a socket of AF_UNIX")
	}
	return &Conn{c: u}, nil
}

// Close closes the end. The other one reads io.EOF.
func (c *Conn) Close() error { return c.c.Close() }

// AppendMessage appends a message in JSON as it is sent.
func AppendMessage(b, body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
}

// Put sends messages that AppendMessage made.
func (c *Conn) Put(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.c.Write(b)
	return err
}

// Send sends a message, with copies of files.
func (c *Conn) Send(m Message, files ...*os.File) error {
	m.Files = len(files)
	body, err := m.Encode()
	if err != nil {
		return err
	}
	b := AppendMessage(nil, body)
	if len(files) == 0 {
		return c.Put(b)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return err
		}
		if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _, err := c.c.WriteMsgUnix(b, syscall.UnixRights(fds...), nil)
	if err == nil {
		_, err = c.c.Write(b[n:])
	}
	return err
}

// Receive waits for the next message and what came with it.
func (c *Conn) Receive() (m Message, files []*os.File, err error) {
	for {
		if body, ok, err := c.next(); err != nil {
			return m, nil, err
		} else if ok {
			if m, err = decode(body); err != nil {
				return m, nil, err
			}
			// They were there with the message's first byte, and perhaps with the end of the one before.
			n := min(max(m.Files, 0), len(c.files))
			files, c.files = c.files[:n:n], c.files[n:]
			return m, files, nil
		}
		if cap(c.in)-len(c.in) < 4<<10 {
			c.in = append(make([]byte, 0, max(32<<10, 2*len(c.in))), c.in...)
		}
		oob := make([]byte, syscall.CmsgSpace(4*64))
		n, on, _, _, err := c.c.ReadMsgUnix(c.in[len(c.in):cap(c.in)], oob)
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			return m, nil, err
		}
		c.in = c.in[:len(c.in)+n]
		fresh, err := rights(oob[:on])
		if c.files = append(c.files, fresh...); err != nil {
			return m, nil, err
		}
	}
}

// More reports whether Receive has another message without waiting.
func (c *Conn) More() bool {
	return len(c.in) >= 4 && uint32(len(c.in)-4) >= binary.BigEndian.Uint32(c.in)
}

// next takes a message off what was received.
func (c *Conn) next() (body []byte, ok bool, err error) {
	if len(c.in) < 4 {
		return nil, false, nil
	}
	size := binary.BigEndian.Uint32(c.in)
	if size > maxMessage {
		return nil, false, fmt.Errorf("a message of %d bytes", size)
	}
	if uint32(len(c.in)-4) < size {
		return nil, false, nil
	}
	body, c.in = c.in[4:4+size], c.in[4+size:]
	return body, true, nil
}

func rights(oob []byte) (files []*os.File, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		fds, err := syscall.ParseUnixRights(&x)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "link"))
		}
	}
	return files, nil
}
