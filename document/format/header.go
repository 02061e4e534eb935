package format

import (
	"slices"
	"strings"
)

// notSecret are header fields that say how a message is carried, or whom it is for: a value of somebody's own in them would make two readers
// see two messages (RFC 9110 sections 7.2, 7.6.1, 8.4, 8.6, 14). Cookies are the command's and the server's to keep.
var notSecret = []string{
	"accept-encoding", "connection", "content-encoding", "content-length", "cookie", "date", "expect", "forwarded", "host", "http2-settings", "if-range", "keep-alive",
	"max-forwards", "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via",
}

// header is the name of a header field into which a secret may be put: a token of RFC 9110 section 5.6.2.
func header(s string) string {
	switch {
	case s == "" || len(s) > 64:
		return Quote(s) + " is no name of a header: use 1 to 64 letters, digits and !#$%&'*+-.^_`|~"
	case strings.IndexFunc(s, func(r rune) bool { return r > 0x7e || !isAlnum(byte(r)) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) }) >= 0:
		return Quote(s) + " is no name of a header: use 1 to 64 letters, digits and !#$%&'*+-.^_`|~"
	case slices.Contains(notSecret, lowerASCII(s)):
		return Quote(s) + " carries the message, or belongs to the command: a secret goes into Authorization, X-Api-Key or the like"
	}
	return ""
}

// visible is text of RFC 9110's field values without obs-text: visible ASCII and blanks, at most 64 bytes.
func visible(s string) string {
	if len(s) > 64 {
		return Quote(s) + " is longer than 64 bytes"
	}
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return Quote(s) + " has a character that is no visible ASCII"
	}
	return ""
}
