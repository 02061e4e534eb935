package format

import (
	"net/netip"
	"strings"
)

// Host reports what is wrong with s as the one host that a grant names, "" when nothing is: a DNS name (labels of 1 to 63
// letters, digits, "_" and "-", at most 253 bytes, no final dot), an IPv4 address in canonical form, or an IPv6 address
// with or without brackets. Wildcards, prefixes, zones, unspecified and multicast addresses are refused.
func Host(s string) string {
	if s == "" {
		return "must not be empty"
	}
	inner, bracketed := unbracket(s)
	if bracketed || strings.Contains(s, ":") {
		return ipv6Host(s, inner)
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '*':
			return Quote(s) + " is over-broad: a grant names one host, without wildcard"
		case c == '/':
			return Quote(s) + " is not one host: write a name or an address, without prefix length, scheme or path"
		case c >= 0x80:
			return Quote(s) + " is not ASCII: write the name in its punycode form (xn--…)"
		}
	}
	if strings.HasSuffix(s, ".") {
		return Quote(s) + " ends in a dot: write the name without it"
	}
	if endsInNumber(s) {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return Quote(s) + " is neither a host name (the last part is a number) nor an IPv4 address in canonical form"
		}
		return usable(s, addr)
	}
	return dnsName(s, true)
}

func ipv6Host(s, inner string) string {
	addr, err := netip.ParseAddr(inner)
	switch {
	case err != nil || !addr.Is6():
		return Quote(s) + " is not a host: write a name, an IPv4 or an IPv6 address, without port"
	case addr.Zone() != "":
		return Quote(s) + " has a zone, which means something else on every machine"
	}
	return usable(s, addr)
}

// usable refuses addresses that are not one host's. RFC 4291 section 2.5.5.2: an IPv4-mapped address is the IPv4 address.
func usable(s string, addr netip.Addr) string {
	switch addr = addr.Unmap(); {
	case addr.IsUnspecified():
		return Quote(s) + " is the unspecified address, not a host"
	case addr.IsMulticast():
		return Quote(s) + " is a multicast address, not one host"
	}
	return ""
}

// IsAddress reports whether a valid host is a literal address, and no name.
func IsAddress(s string) bool {
	_, err := netip.ParseAddr(HostKey(s))
	return err == nil
}

// HostKey returns the form under which two spellings of a valid host are the same: ASCII lower case, IPv6 addresses in
// canonical form without brackets.
func HostKey(s string) string {
	inner, _ := unbracket(s)
	if strings.Contains(inner, ":") {
		if addr, err := netip.ParseAddr(inner); err == nil {
			return addr.String()
		}
	}
	return lowerASCII(s)
}

// HostPattern reports what is wrong with s as a pattern for host names, "" when nothing is: a DNS name of at least two
// labels, of which the first may be "*". A wildcard directly over a public top-level name is refused as over-broad.
func HostPattern(s string) string {
	const rule = ` is not a host name of two or more parts, of which the first may be "*"`
	name, wild := strings.CutPrefix(s, "*.")
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > 253 || dnsName(name, false) != "":
		return Quote(s) + rule
	case endsInNumber(name):
		return Quote(s) + " is not a host name: the last part is a number"
	case wild && !strings.Contains(name, ".") && !privateName(name):
		return Quote(s) + " is over-broad: it covers everybody's names under a public top-level name"
	case !wild && !strings.Contains(name, "."):
		return Quote(s) + rule
	}
	return ""
}

// privateName reports whether no public names can exist under the top-level name s (RFC 6761, RFC 6762 appendix G).
func privateName(s string) bool {
	switch strings.ToLower(s) {
	case "internal", "local", "localhost", "test", "example", "invalid", "lan", "corp", "home":
		return true
	}
	return false
}

// dnsName checks length and labels (RFC 1035 section 2.3.4); underscores are allowed where names of services live.
func dnsName(s string, underscore bool) string {
	if len(s) > 253 {
		return Quote(s) + " is longer than 253 bytes"
	}
	for part := range strings.SplitSeq(s, ".") {
		if !isLabel(part, underscore) {
			return Quote(s) + ` is not a host name: each part is 1 to 63 letters, digits, "_" or "-", not beginning or ending with "-"`
		}
	}
	return ""
}

func isLabel(s string, underscore bool) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '-' && !(underscore && s[i] == '_') {
			return false
		}
	}
	return true
}

// endsInNumber reports whether resolvers would read s as an IPv4 address: the last part is decimal or 0x-hexadecimal
// (inet_aton(3); WHATWG URL "ends in a number").
func endsInNumber(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if hex, found := strings.CutPrefix(strings.ToLower(last), "0x"); found {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return allDigits(last)
}

// unbracket returns what is inside the brackets of s, if it has them.
func unbracket(s string) (inner string, bracketed bool) {
	if len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']' {
		return s[1 : len(s)-1], true
	}
	return s, false
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
