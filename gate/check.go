package gate

import (
	"errors"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/gate/hello"
	"cellos.io/cellos/gate/http1"
	"cellos.io/cellos/gate/wire"
)

// firstTime bounds the wait for the first bytes of a protocol that names its server, and for the whole of a ClientHello.
const firstTime = 10 * time.Second

// Reason codes of names in connections. The first are documented.
const (
	codeSNIMatch    = "l7_sni_allowlist_match"
	codeSNIMiss     = "l7_sni_allowlist_miss"
	codeSNIMissing  = "l7_sni_missing"
	codeHostMatch   = "l7_http_host_allowlist_match"
	codeHostMiss    = "l7_http_host_allowlist_miss"
	codeHostMissing = "l7_http_host_missing"
	codeUnknown     = "l7_unknown_protocol"
	codeTimeout     = "l7_peek_timeout"
	codeMismatch    = "l7_sni_address_mismatch" // a granted name, but not that of this address
	codeECH         = "l7_ech_refused"          // nobody can see which name it is
	codeEarlyData   = "l7_early_data_refused"
	codeFronting    = "l7_fronting_accepted" // cdnAuthority lets it be another name, or a hidden one
	codeNone        = "l7_name_check_none"   // the protocol names no server
	codeTerminated  = "l7_tls_terminated"    // the gate opens the TLS, to put secrets into the requests
	codeInjected    = "l7_secret_injected"   // into this request, and each that follows on its connection
)

var errRefused = errors.New("refused")

// named reports whether a port is for protocols that name their server: then nothing else may be spoken on it.
func (f *tcpFlow) named() bool {
	switch f.rule.Kind() {
	case "https", "tls", "http":
		return true
	}
	return f.rule.Port == 443 || f.rule.Port == 80
}

// check looks at what the cell says first, decides, and passes on what was granted. It returns when the cell has ended its side.
func (f *tcpFlow) check() error {
	literal := f.to.name == ""
	if literal && len(f.gate.names.Allow) == 0 {
		f.allow(codeNone, f.to.String())
		f.gate.hands.do(f.fromUpstream)
		return f.toUpstream(nil)
	}
	must := f.named() && !literal
	if !must {
		f.gate.hands.do(f.fromUpstream) // servers of other protocols may speak first
	}
	if must {
		f.src.within(firstTime)
	}
	var first []byte
	for {
		was := len(first)
		var err error
		first, err = f.src.add(first)
		n := len(first) - was
		if n > 0 && first[0] == 0x16 {
			return f.tls(first, must)
		}
		one, two, undecided := http1.Looks(first)
		switch {
		case n == 0 && err != nil && isTimeout(err):
			return f.refuse(codeTimeout, "")
		case n > 0 && (one || two) && f.rule.Inject != nil:
			return f.refuse(codeUnknown, "") // a secret is not sent in clear text
		case n > 0 && one && (must || httpMethod(first)):
			return f.http(first, must)
		case n > 0 && two:
			f.cell.Write(goAway())
			return f.refuse(codeUnknown, "")
		case n > 0 && !undecided, err != nil && len(first) > 0:
			if must {
				return f.refuse(codeUnknown, "")
			}
			f.src.within(0)
			f.allow(codeNone, f.to.String())
			return f.toUpstream(first)
		case err != nil:
			if must {
				return errRefused // nothing was said
			}
			return nil
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func (f *tcpFlow) allow(code, name string) error {
	return f.gate.journal.noted(evidence.SourceSNIProxy, f.gate.journal.name(true, code, f.rule.ref, name))
}

func (f *tcpFlow) refuse(code, name string) error {
	j := f.gate.journal
	j.denied(evidence.SourceSNIProxy, code, j.name(false, code, f.rule.ref, name))
	j.deny(wire.Refused{Name: f.to.name, Reason: code, Why: name})
	return errRefused
}

// tls reads the ClientHello, in however many pieces it comes.
func (f *tcpFlow) tls(first []byte, must bool) error {
	var c hello.Collector
	c.Write(first)
	f.src.within(firstTime)
	var more []byte
	for !c.Done() {
		var err error
		more, err = f.src.add(more[:0])
		c.Write(more)
		if err != nil && !c.Done() {
			if isTimeout(err) {
				return f.refuse(codeTimeout, "")
			}
			return f.refuse(codeUnknown, "")
		}
	}
	f.src.within(0)
	h, err := c.Hello()
	switch {
	case errors.Is(err, hello.ErrName):
		return f.refuse(codeSNIMissing, "")
	case err != nil:
		return f.refuse(codeUnknown, "")
	}
	code := f.judge(h)
	if code != codeSNIMatch && code != codeFronting {
		return f.refuse(code, h.Name)
	}
	if f.rule.Inject != nil {
		return f.terminate(c.Raw(), code, h.Name)
	}
	if err := f.allow(code, h.Name); err != nil {
		return err
	}
	if must {
		f.gate.hands.do(f.fromUpstream)
	}
	return f.toUpstream(c.Raw())
}

// judge decides on a ClientHello.
func (f *tcpFlow) judge(h hello.Hello) string {
	g := f.gate
	literal := f.to.name == ""
	switch {
	case h.EarlyData:
		return codeEarlyData
	case h.ECH && !f.to.front:
		return codeECH
	case h.Name == "" && literal:
		return codeSNIMissing
	case h.Name == "":
		return codeSNIMissing
	case literal && authority.MatchesAny(h.Name, g.names.Allow):
		return codeSNIMatch
	case literal:
		return codeSNIMiss
	case h.Name == f.to.name && h.ECH:
		return codeFronting
	case h.Name == f.to.name:
		return codeSNIMatch
	case f.to.front && g.table.granted(h.Name):
		return codeFronting
	case g.table.granted(h.Name):
		return codeMismatch
	}
	return codeSNIMiss
}

// touching reads from the cell and notes that it did.
type touching struct{ f *tcpFlow }

func (t touching) Read(b []byte) (int, error) {
	n, err := t.f.cell.Read(b)
	t.f.up.touch()
	return n, err
}

// meter writes to upstream what the budget lets through.
type meter struct{ f *tcpFlow }

func (m meter) Write(b []byte) (int, error) {
	if err := m.f.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}
