package main

import "strings"

// textOf describes the texts of a format, as far as regular expressions that both ECMA-262 and RE2 know can say it: every
// text that format.Check accepts is accepted, not the other way round.
func textOf(format string) object {
	s := object{"type": "string"}
	switch format {
	case "portable":
		s["pattern"] = `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`
		s["not"] = object{"pattern": `\.\.`}
	case "digest":
		s["pattern"] = `^sha256:[0-9a-f]{64}$`
	case "namespace":
		s["pattern"] = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	case "label":
		s["pattern"] = `^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`
	case "nonempty":
		s["minLength"] = 1
	case "nonblank":
		s["pattern"] = `\S`
	case "text":
		s["pattern"] = `^[^\x00]+$`
	case "nonul":
		s["pattern"] = `^[^\x00]*$`
	case "variable":
		s["pattern"] = `^[^=\x00]+$`
	case "tenant":
		s["pattern"] = `^[^.*>\x00-\x20\x7f]+$`
	case "semver":
		const number = `(0|[1-9][0-9]*)`
		s["pattern"] = `^` + number + `\.` + number + `\.` + number + `(-[A-Za-z0-9.-]+)?$`
	case "host":
		s["pattern"] = `^([A-Za-z0-9_.-]{1,253}|\[?[0-9A-Fa-f:.]+\]?)$`
	case "pattern":
		s["pattern"] = `^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`
		s["maxLength"] = 253
	case "protocol":
		s["pattern"] = anyCase("tcp", "udp", "tls", "https", "http", "dns-acknowledged")
	case "baseurl":
		s["pattern"] = `^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x20?#\\]+$`
	case "allowedip":
		s["pattern"] = `^[A-Za-z0-9_.-]+:[0-9A-Fa-f:./]+$`
	case "seccomp":
		s["pattern"] = `^(baseline|hardened|strict)(\+(net-none|debug)){0,2}$`
	case "hostpath":
		s["pattern"] = `^/[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*$`
	case "grant":
		s["pattern"] = `^/[^/\x00-\x1f\x7f]+(/[^/\x00-\x1f\x7f]+)*$`
		s["not"] = object{"pattern": `^/(proc|sys|dev)(/|$)|/\.\.?(/|$)`}
	case "header":
		s["pattern"] = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"
	case "visible":
		s["pattern"] = `^[\x20-\x7e]{0,64}$`
	default:
		panic("mkschema: no schema for the format " + format)
	}
	return s
}

// anyCase returns a pattern for some words in any case of letters: JSON Schema patterns have no flags.
func anyCase(words ...string) string {
	var b strings.Builder
	for i, w := range words {
		b.WriteString([]string{"^(", "|"}[min(i, 1)])
		for _, c := range w {
			if up := strings.ToUpper(string(c)); up != string(c) {
				b.WriteString("[" + up + string(c) + "]")
			} else {
				b.WriteRune(c)
			}
		}
	}
	return b.String() + ")$"
}
