package variable

import (
	"math"
	"slices"
	"strings"
	"sync"
)

// A Use says what becomes of a variable.
type Use string

// What becomes of a variable.
const (
	InForce Use = ""        // it is read and acted upon
	NotYet  Use = "refused" // what it asks for is not there: a run that it would change is refused
	Nothing Use = "nothing" // it is known, and changes nothing; the help says why
)

// A Row is the declaration of a variable.
type Row struct {
	Name    string
	Kind    string
	Default string // as it would be written; "" for none
	Reader  string // who reads it: commands and parts of the program
	Help    string // one line
	Use     Use

	Words    []string // of a Word: what it may hold
	AnyCase  bool     // of a Word: without regard to the case of letters
	Min, Max int64    // of a Number
	Scoped   bool     // NAME__TARGET, with the name of an export target in upper case, goes before NAME

	name Name
}

// An option of a row.
type option func(*Row)

func row(n Name, def, reader, help string, options ...option) Row {
	r := Row{Name: n.name(), Kind: n.kind(), Default: def, Reader: reader, Help: help, Max: math.MaxInt64, name: n}
	for _, o := range options {
		o(&r)
	}
	return r
}

func words(list string) option { return func(r *Row) { r.Words = strings.Fields(list) } }
func anyCase(list string) option {
	return func(r *Row) { r.Words, r.AnyCase = strings.Fields(list), true }
}
func between(low, high int64) option { return func(r *Row) { r.Min, r.Max = low, high } }
func scoped(r *Row)                  { r.Scoped = true }
func notYet(r *Row)                  { r.Use = NotYet }
func nothing(r *Row)                 { r.Use = Nothing }

// Table returns all declarations, in the order of docs/variables.md.
func Table() []Row { return slices.Clone(table()) }

// table is the same, made once: a start looks into it a hundred times.
var table = sync.OnceValue(func() (rows []Row) {
	for _, g := range Groups() {
		rows = append(rows, g.Rows...)
	}
	return rows
})

// A Group is the part of the table that has one subject.
type Group struct {
	Title string
	Rows  []Row
}

// Groups returns the table by subject.
func Groups() []Group {
	return []Group{
		{"Places and keys", places()},
		{"Admission", admission()},
		{"Isolation and limits", isolation()},
		{"Secrets", secrets()},
		{"Exports", exports()},
		{"Events and sinks", events()},
		{"Network and names", network()},
		{"Virtual machines and gVisor", machines()},
		{"Known, and not used", others()},
	}
}

// Find returns the declaration that a variable of the environment falls under: its own, that of its unscoped name, or that of
// its prefix. ok is false for a variable that nobody declares.
func Find(name string) (r Row, ok bool) {
	base, target, isScoped := strings.Cut(name, "__")
	for _, d := range table() {
		switch {
		case d.Kind == Prefix("").kind():
			if strings.HasPrefix(name, d.Name) && len(name) > max(len(d.Name), len(r.Name)) {
				r, ok = d, true
			}
		case d.Name == name, isScoped && target != "" && d.Scoped && d.Name == base:
			return d, true
		}
	}
	return r, ok
}

// Ours reports whether a variable has a name that only this program gives a meaning to: one that it does not declare is a mistake.
func Ours(name string) bool {
	return strings.HasPrefix(name, "CELLOS_") || strings.HasPrefix(name, "CELL_OS_")
}
