package sysabi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTablesAgreeWithXSys compares with the constants SYS_* of golang.org/x/sys/unix, made from the kernel's headers by others.
func TestTablesAgreeWithXSys(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	for _, a := range Arches() {
		theirs := constants(t, filepath.Join(dir, "zsysnum_linux_"+a.String()+".go"))
		if len(theirs) < 300 {
			t.Errorf("%v: only %d constants", a, len(theirs))
		}
		for name, nr := range theirs {
			switch {
			case name == "arch_specific_syscall": // the first number of a range, no call
				continue
			case name == "fstatat" || name == "newfstatat": // the headers have both for one call
				name = "newfstatat"
			}
			if got, ok := a.Number(name); !ok || got != nr {
				t.Errorf("%v: %s is %d %v, x/sys says %d", a, name, got, ok, nr)
			}
		}
	}
}

func constants(t *testing.T, path string) map[string]int {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]int{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name, ok := strings.CutPrefix(v.Names[0].Name, "SYS_")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			m[strings.ToLower(name)] = n
		}
	}
	return m
}
