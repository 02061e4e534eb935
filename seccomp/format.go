package seccomp

import (
	"encoding/hex"
	"fmt"
	"strings"

	"cellos.io/cellos/sysabi"
)

// Formats lists what Format writes.
func Formats() []string { return []string{"raw", "hex", "c", "go", "disasm"} }

// Format writes the program for other programs and for people: raw bytes, hexadecimal bytes, the initialiser of a C array of
// struct sock_filter, a Go literal, or the listing of Disassemble. The architecture names calls in listings and may be nil.
func (p Program) Format(format string, a *sysabi.Arch) ([]byte, error) {
	switch format {
	case "raw":
		return p.Bytes(), nil
	case "hex":
		return []byte(hex.EncodeToString(p.Bytes()) + "\n"), nil
	case "c":
		return p.lines("static const struct sock_filter filter[] = {\n", "\t{ %#04x, %d, %d, %#08x },", "/* %s */", "};\n", a), nil
	case "go":
		return p.lines("var filter = []seccomp.Instruction{\n", "\t{%#04x, %d, %d, %#08x},", "// %s", "}\n", a), nil
	case "disasm":
		return []byte(p.Disassemble(a)), nil
	}
	return nil, fmt.Errorf("there is no format %q: it must be one of %s", format, strings.Join(Formats(), ", "))
}

func (p Program) lines(head, line, comment, tail string, a *sysabi.Arch) []byte {
	var b strings.Builder
	b.WriteString(head)
	for n, text := range strings.Split(strings.TrimSuffix(p.Disassemble(a), "\n"), "\n") {
		if n == len(p) {
			break
		}
		s := fmt.Sprintf(line, p[n].Code, p[n].JT, p[n].JF, p[n].K)
		fmt.Fprintf(&b, "%-32s "+comment+"\n", s, strings.TrimSpace(strings.ReplaceAll(text, " ; ", " = ")))
	}
	b.WriteString(tail)
	return []byte(b.String())
}
