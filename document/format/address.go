package format

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// A BaseURL is what http(s)://host[:port][/path] names, as far as a grant is concerned.
type BaseURL struct {
	Host string // as HostKey returns it
	Port int    // 1 to 65535; 80 or 443 when the URL names none
}

// ParseBaseURL reads s as http(s)://host[:port][/path], exactly as written: nothing is trimmed, decoded or repaired. The
// problem is "" when there is none.
func ParseBaseURL(s string) (u BaseURL, problem string) {
	scheme, rest, found := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "http" && scheme != "https" {
		return u, quoteURL(s) + " is not a base URL: write http:// or https://, host, and if need be :port and /path"
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		return u, quoteURL(s) + " has a query or fragment, which a base URL must not have"
	}
	if problem := urlCharacters(s); problem != "" {
		return u, problem
	}
	authority, _, _ := strings.Cut(rest, "/")
	host, port, problem := splitAuthority(s, authority)
	if problem != "" {
		return u, problem
	}
	switch {
	case port != 0:
	case scheme == "http":
		port = 80
	default:
		port = 443
	}
	return BaseURL{Host: HostKey(host), Port: port}, ""
}

// urlCharacters refuses what a URL parser would drop, rewrite or reject.
func urlCharacters(s string) string {
	for i, r := range s {
		switch {
		case r == '\\':
			return quoteURL(s) + " contains a backslash"
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return quoteURL(s) + " contains white space or a control character"
		case r == '%' && !(i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])):
			return quoteURL(s) + ` contains "%" without two hexadecimal digits`
		}
	}
	return ""
}

// quoteURL is Quote, except that a URL that may hold a password is not repeated.
func quoteURL(s string) string {
	if strings.Contains(s, "@") {
		return "the URL"
	}
	return Quote(s)
}

// splitAuthority takes host[:port] of the URL s apart; port is 0 when there is none.
func splitAuthority(s, authority string) (host string, port int, problem string) {
	if strings.Contains(authority, "@") {
		return "", 0, "a URL must not carry credentials: use secretRef"
	}
	host, digits, hasPort := cutPort(authority)
	if host == "" {
		return "", 0, Quote(s) + " names no host"
	}
	if strings.Contains(host, ":") && host[0] != '[' {
		return "", 0, Quote(s) + " is not valid: an IPv6 address in a URL needs brackets"
	}
	if problem := Host(host); problem != "" {
		return "", 0, problem
	}
	if hasPort {
		if port = portNumber(digits); port == 0 {
			return "", 0, Quote(s) + " has no valid port: write 1 to 65535 after the colon"
		}
	}
	return host, port, ""
}

// cutPort splits at the colon that is not inside brackets.
func cutPort(s string) (host, port string, found bool) {
	from := strings.LastIndexByte(s, ']') + 1
	if i := strings.LastIndexByte(s[from:], ':'); i >= 0 {
		return s[:from+i], s[from+i+1:], true
	}
	return s, "", false
}

// portNumber returns the port that s writes without sign or leading zero, 0 when it writes none.
func portNumber(s string) int {
	if !isNumber(s) {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 65535 {
		return 0
	}
	return n
}

// Endpoint reports what is wrong with s as the address of a DNS resolver that speaks the given protocol, "" when nothing
// is. do53-udp, do53-tcp: IP:port; dot: host:port; doq: host:port or quic://host:port; doh: https://….
func Endpoint(protocol, s string) string {
	if s == "" {
		return "must not be empty"
	}
	switch protocol {
	case "do53-udp", "do53-tcp":
		addr, err := netip.ParseAddrPort(s)
		_, digits, _ := cutPort(s)
		if err != nil || addr.Addr().Zone() != "" || portNumber(digits) == 0 {
			return Quote(s) + " does not fit " + protocol + ": write ADDRESS:PORT, an IPv6 address in brackets"
		}
		return usable(s, addr.Addr())
	case "dot":
		return hostPort(s, s, protocol+": write HOST:PORT")
	case "doq":
		return hostPort(s, strings.TrimPrefix(s, "quic://"), protocol+": write HOST:PORT or quic://HOST:PORT")
	case "doh":
		return dohURL(s)
	}
	return ""
}

func hostPort(whole, s, rule string) string {
	host, digits, _ := cutPort(s)
	if host == "" || portNumber(digits) == 0 || strings.Contains(host, ":") && host[0] != '[' {
		return Quote(whole) + " does not fit " + rule
	}
	return Host(host)
}

// dohURL checks an RFC 8484 URI (template): https://host[:port][/path][?query].
func dohURL(s string) string {
	const rule = " does not fit doh: write https://HOST/PATH"
	rest, found := strings.CutPrefix(s, "https://")
	if !found {
		return quoteURL(s) + rule
	}
	if strings.Contains(rest, "#") {
		return quoteURL(s) + rule + ", without fragment"
	}
	if problem := urlCharacters(s); problem != "" {
		return problem
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	_, _, problem := splitAuthority(s, authority)
	return problem
}

// allowedIP is one entry of responseIpAllowlist: NAME:ADDRESS or NAME:PREFIX.
func allowedIP(s string) string {
	name, address, found := strings.Cut(s, ":")
	problem := Quote(s) + " is neither NAME:ADDRESS nor NAME:PREFIX"
	if !found || name == "" || Host(name) != "" || endsInNumber(name) {
		return problem
	}
	if addr, err := netip.ParseAddr(address); err == nil && addr.Zone() == "" {
		return ""
	}
	if _, err := netip.ParsePrefix(address); err == nil {
		return ""
	}
	return problem
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
