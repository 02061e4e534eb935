// Package format holds the lexical rules of cellos documents: which text is an identifier, a host, a digest, a path.
//
//	format.Check("portable", "api key") // "api key" is not an identifier: use 1 to 128 …
//	format.HostKey("[2001:DB8::1]") == format.HostKey("2001:db8::1")
//
// It looks at one string at a time and knows nothing of fields, documents or the machine.
package format

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Check reports what is wrong with s as a text of the named format, and "" when nothing is. The names are those that
// struct tags use (`doc:"format=portable"`); an unknown name is a mistake in the program and is reported as one.
func Check(name, s string) string {
	switch name {
	case "portable":
		return portable(s)
	case "digest":
		return digest(s)
	case "namespace":
		return namespace(s)
	case "label":
		return label(s)
	case "nonempty":
		return nonempty(s)
	case "nonblank":
		return nonblank(s)
	case "text":
		return text(s)
	case "tenant":
		return tenant(s)
	case "semver":
		return semver(s)
	case "host":
		return Host(s)
	case "pattern":
		return HostPattern(s)
	case "protocol":
		return protocol(s)
	case "baseurl":
		_, problem := ParseBaseURL(s)
		return problem
	case "allowedip":
		return allowedIP(s)
	case "seccomp":
		return seccompProfile(s)
	case "variable":
		return variable(s)
	case "nonul":
		return noNUL(s)
	case "hostpath":
		return AbsolutePath(s)
	case "grant":
		return grantPath(s)
	case "header":
		return header(s)
	case "visible":
		return visible(s)
	}
	return "cellos bug: no format is called " + Quote(name)
}

// Quote writes s for a message: in double quotes, on one line, cut after 80 bytes.
func Quote(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.Quote(s[:n]) + "…"
}

func nonempty(s string) string {
	if s == "" {
		return "must not be empty"
	}
	return ""
}

func nonblank(s string) string {
	if strings.TrimSpace(s) == "" {
		return "must not be empty or blank"
	}
	return ""
}

// text is a string that a C program can receive: not empty and without NUL.
func text(s string) string {
	if s == "" {
		return "must not be empty"
	}
	return noNUL(s)
}

func noNUL(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		return "contains a NUL byte"
	}
	return ""
}

// variable is the name of an environment variable (environ(7): NAME=VALUE, ended by NUL).
func variable(s string) string {
	switch {
	case s == "":
		return "the name of a variable must not be empty"
	case strings.ContainsAny(s, "=\x00"):
		return `the name of a variable must not contain "=" or a NUL byte`
	}
	return ""
}

// portable identifiers: document reference, section 6.
func portable(s string) string {
	const rule = `: use 1 to 128 letters, digits, ".", "_" or "-", beginning with a letter or digit, without ".."`
	ok := len(s) >= 1 && len(s) <= 128 && isAlnum(s[0]) && !strings.Contains(s, "..")
	for i := 0; ok && i < len(s); i++ {
		ok = isAlnum(s[i]) || s[i] == '.' || s[i] == '_' || s[i] == '-'
	}
	if !ok {
		return Quote(s) + " is not an identifier" + rule
	}
	return ""
}

func digest(s string) string {
	hex, found := strings.CutPrefix(s, "sha256:")
	ok := found && len(hex) == 64
	for i := 0; ok && i < len(hex); i++ {
		ok = isDigit(hex[i]) || hex[i] >= 'a' && hex[i] <= 'f'
	}
	if !ok {
		return Quote(s) + " is not a digest: write sha256: and 64 lower-case hexadecimal digits"
	}
	return ""
}

// namespace is a Kubernetes namespace: an RFC 1123 label in lower case.
func namespace(s string) string {
	if isLabel(s, false) && strings.ToLower(s) == s {
		return ""
	}
	return Quote(s) + ` is not a namespace: use 1 to 63 of a-z, 0-9 and "-", not beginning or ending with "-"`
}

// label is one DNS label (RFC 1123 section 2.1), as a host name of one part.
func label(s string) string {
	if isLabel(s, false) {
		return ""
	}
	return Quote(s) + ` is not a host name of one part: use 1 to 63 letters, digits and "-", not beginning or ending with "-"`
}

// tenant identifiers become part of a message subject, where ".", "*", ">" and white space have a meaning.
func tenant(s string) string {
	if s == "" {
		return "must not be empty"
	}
	for _, r := range s {
		if r == '.' || r == '*' || r == '>' || unicode.IsSpace(r) {
			return Quote(s) + ` contains ` + Quote(string(r)) + `: ".", "*", ">" and white space are reserved`
		}
		if unicode.IsControl(r) {
			return Quote(s) + " contains a control character"
		}
	}
	return ""
}

// semver is MAJOR.MINOR.PATCH[-PRE] without build part; numbers may have any length but no leading zero.
func semver(s string) string {
	core, pre, hasPre := strings.Cut(s, "-")
	parts := strings.Split(core, ".")
	ok := len(parts) == 3 && (!hasPre || pre != "")
	for _, p := range parts {
		ok = ok && isNumber(p)
	}
	for i := 0; ok && i < len(pre); i++ {
		ok = isAlnum(pre[i]) || pre[i] == '.' || pre[i] == '-'
	}
	if !ok {
		return Quote(s) + " is not a version: write MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-PRE"
	}
	return ""
}

// isNumber reports whether s is decimal digits without a leading zero.
func isNumber(s string) bool {
	if s == "" || len(s) > 1 && s[0] == '0' {
		return false
	}
	return allDigits(s)
}

func protocol(s string) string {
	switch strings.ToLower(s) {
	case "tcp", "udp", "tls", "https", "http", "dns-acknowledged":
		return ""
	}
	return Quote(s) + " is not a protocol: use tcp, udp, tls, https, http or dns-acknowledged, or leave it out"
}

func seccompProfile(s string) string {
	parts := strings.Split(s, "+")
	ok := parts[0] == "baseline" || parts[0] == "hardened" || parts[0] == "strict"
	seen := ""
	for _, add := range parts[1:] {
		ok = ok && (add == "net-none" || add == "debug") && add != seen && len(parts) <= 3
		seen = add
	}
	if !ok {
		return Quote(s) + ` is not a profile: use baseline, hardened or strict, with "+net-none" or "+debug" added if need be`
	}
	return ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
