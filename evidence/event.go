package evidence

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"cellos.io/cellos/jsonwire"
)

// Values of the CloudEvents attribute source.
const (
	SourceSupervisor = "cellos-supervisor"
	SourceDNSProxy   = "cellos-dns-proxy"
	SourceSNIProxy   = "cellos-sni-proxy"
)

// MaxLine is the length above which a line is neither written nor read, in bytes and without its line feed: the
// limit of the documented mirror file.
const MaxLine = 1 << 20

// Event is one CloudEvent 1.0 as it stands in the stream. The zero values of the extension attributes mean that
// the event does not have them.
type Event struct {
	ID     string    // UUID version 4, lower case
	Source string    // SourceSupervisor, …
	Type   string    // TypeStarted, …
	Time   time.Time // written in UTC with the fewest of 0, 3, 6 or 9 fraction digits that are exact; zero: null
	Data   []byte    // the JSON object, canonical (package canon)

	Sequence uint64 // attribute sequence, from 1; written with at least 10 digits
	Run      string // attribute cellosrun: the unique identity of the run
	Prev     string // attribute cellosprev: "sha256:…" of the previous event's signed payload, or of the document
	Count    uint64 // attribute celloscount: how many events the run has; on the closing event only
	Material string // attribute dssematerial: base64 of the DSSE envelope that signs the event
}

// AppendJSON appends the event as a line of the stream, without the line feed: the eight documented members in
// their documented order, then the extension attributes that are there.
func (e Event) AppendJSON(dst []byte) []byte {
	dst = e.AppendDocumented(dst)
	dst = dst[:len(dst)-1]
	if e.Sequence != 0 {
		dst = append(dst, `,"sequence":"`...)
		dst = append(appendSequence(dst, e.Sequence), '"')
	}
	dst = appendAttribute(dst, `,"cellosrun":`, e.Run)
	dst = appendAttribute(dst, `,"cellosprev":`, e.Prev)
	if e.Count != 0 {
		dst = append(dst, `,"celloscount":`...)
		dst = strconv.AppendUint(dst, e.Count, 10)
	}
	dst = appendAttribute(dst, `,"dssematerial":`, e.Material)
	return append(dst, '}')
}

// AppendDocumented appends the eight members that documented readers know. These bytes are also what a
// signed_envelope.v1 signs.
func (e Event) AppendDocumented(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0","id":`...)
	dst = jsonwire.AppendString(dst, e.ID)
	dst = append(dst, `,"source":`...)
	dst = jsonwire.AppendString(dst, e.Source)
	dst = append(dst, `,"type":`...)
	dst = jsonwire.AppendString(dst, e.Type)
	dst = append(dst, `,"datacontenttype":"application/json","data":`...)
	if len(e.Data) == 0 {
		dst = append(dst, "null"...)
	}
	dst = append(dst, e.Data...)
	dst = append(dst, `,"time":`...)
	if e.Time.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, '"')
		dst = append(AppendTime(dst, e.Time), '"')
	}
	return append(dst, `,"traceparent":null}`...)
}

func appendAttribute(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return jsonwire.AppendString(append(dst, name...), value)
}

// appendSequence appends n zero-padded to 10 digits, so that the attribute sorts as text.
func appendSequence(dst []byte, n uint64) []byte {
	for limit := uint64(1_000_000_000); limit > n && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, n, 10)
}

// AppendTime appends t as the supervisor's events spell times: RFC 3339 in UTC, "+00:00" and never "Z", with 0, 3, 6
// or 9 fraction digits, the fewest that are exact.
func AppendTime(dst []byte, t time.Time) []byte {
	layout := "2006-01-02T15:04:05.000000000"
	switch ns := t.Nanosecond(); {
	case ns == 0:
		layout = "2006-01-02T15:04:05"
	case ns%1_000_000 == 0:
		layout = "2006-01-02T15:04:05.000"
	case ns%1_000 == 0:
		layout = "2006-01-02T15:04:05.000000"
	}
	return append(t.UTC().AppendFormat(dst, layout), "+00:00"...)
}

// NewID returns a random UUID version 4 in lower case (RFC 9562, section 5.4), for event ids, decision ids and the
// identity of a run.
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	out := make([]byte, 0, 36)
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, b[:n])
		copy(b[:], b[n:])
	}
	return string(out)
}
