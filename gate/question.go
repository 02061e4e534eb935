package gate

import (
	"encoding/binary"
	"errors"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A question is a DNS question of the cell, as strictly read as it can be without refusing resolvers that are in use.
type question struct {
	id      uint16
	desired bool   // recursion
	spelled string // the name as the cell spelled it, with the final dot: some resolvers check the case of letters (0x20)
	name    string // lower case, without final dot; "" for the root
	kind    dnsmessage.Type
	size    int // bytes that the cell takes over UDP
}

var errMalformed = errors.New("malformed question")

// Sizes of DNS messages over UDP, in bytes: RFC 1035 section 4.2.1, and what passes every link unfragmented.
const (
	plainUDP  = 512
	extendUDP = 1232
	maxQuery  = 1024 // a question with one name of 255 bytes and EDNS options
)

// parseQuestion reads a message that asks exactly one thing. Everything else (answers, updates, bytes behind the question) is malformed.
func parseQuestion(b []byte) (q question, err error) {
	if len(b) < 12 || len(b) > maxQuery {
		return q, errMalformed
	}
	flags := binary.BigEndian.Uint16(b[2:])
	counts := [4]uint16{}
	for i := range counts {
		counts[i] = binary.BigEndian.Uint16(b[4+2*i:])
	}
	// QR, OPCODE, AA, TC, RA and RCODE are zero in a question. RD, AD and CD are the asker's to set.
	if flags&^0x0130 != 0 || counts[0] != 1 || counts[1] != 0 || counts[2] != 0 || counts[3] > 1 {
		return q, errMalformed
	}
	q.id, q.desired, q.size = binary.BigEndian.Uint16(b), flags&0x0100 != 0, plainUDP
	at := 12
	var labels []string
	for {
		if at >= len(b) {
			return q, errMalformed
		}
		n := int(b[at])
		at++
		if n == 0 {
			break
		}
		if n > 63 || at+n > len(b) || !canonical(b[at:at+n]) { // compression pointers are above 63
			return q, errMalformed
		}
		labels = append(labels, string(b[at:at+n]))
		at += n
	}
	q.spelled = strings.Join(labels, ".") + "."
	q.name = strings.ToLower(strings.TrimSuffix(q.spelled, "."))
	if len(q.name) > 253 || at+4 > len(b) || binary.BigEndian.Uint16(b[at+2:]) != uint16(dnsmessage.ClassINET) {
		return q, errMalformed
	}
	q.kind = dnsmessage.Type(binary.BigEndian.Uint16(b[at:]))
	at += 4
	if counts[3] == 1 { // RFC 6891: the root name, type OPT, size, flags, options
		if at+11 > len(b) || b[at] != 0 || binary.BigEndian.Uint16(b[at+1:]) != uint16(dnsmessage.TypeOPT) {
			return q, errMalformed
		}
		q.size = min(max(int(binary.BigEndian.Uint16(b[at+3:])), plainUDP), extendUDP)
		at += 11 + int(binary.BigEndian.Uint16(b[at+9:]))
	}
	if at != len(b) {
		return q, errMalformed
	}
	return q, nil
}

func canonical(label []byte) bool {
	for _, c := range label {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// typeWords are the documented words.
func typeWords() map[dnsmessage.Type]string {
	return map[dnsmessage.Type]string{dnsmessage.TypeA: "A", dnsmessage.TypeAAAA: "AAAA", dnsmessage.TypeCNAME: "CNAME", dnsmessage.TypeTXT: "TXT",
		dnsmessage.TypeMX: "MX", dnsmessage.TypeSRV: "SRV", dnsmessage.TypeNS: "NS", dnsmessage.TypePTR: "PTR", 65: "HTTPS", 64: "SVCB"}
}

// word is the documented word for a type; those that have none are reported as A.
func word(t dnsmessage.Type) string {
	if w := typeWords()[t]; w != "" {
		return w
	}
	return "A"
}

// reply answers a question. Over UDP what does not fit is left out, and the asker told to come back over TCP.
func (q question) reply(code dnsmessage.RCode, answers []dnsmessage.ResourceBody, ttl uint32, tcp bool) []byte {
	name, err := dnsmessage.NewName(q.spelled)
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, Response: true, RecursionDesired: q.desired, RecursionAvailable: true, RCode: code},
		Questions: []dnsmessage.Question{{Name: name, Type: q.kind, Class: dnsmessage.ClassINET}},
	}
	for _, b := range answers {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: b})
	}
	b, err := m.Pack()
	if err != nil {
		m.Answers, m.RCode = nil, dnsmessage.RCodeServerFailure
		b, _ = m.Pack()
	}
	if !tcp && len(b) > q.size {
		m.Answers, m.Truncated = nil, true
		b, _ = m.Pack()
	}
	return b
}
