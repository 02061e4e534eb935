package variable

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// An Env reads variables. It holds no values: what it reads is the environment at that moment. Its methods may be called
// concurrently.
type Env struct {
	lookup func(string) (string, bool)
	all    func() []string
	rows   *rows
}

// rows is the table by name, made when it is first needed.
type rows struct {
	once   sync.Once
	byName map[string]Row
}

// row returns the declaration of a name. Asking for one that is not declared is a mistake in the program.
func (e Env) row(name string) Row {
	e.rows.once.Do(func() {
		e.rows.byName = map[string]Row{}
		for _, r := range table() {
			e.rows.byName[r.Name] = r
		}
	})
	r, ok := e.rows.byName[name]
	if !ok {
		panic("cellos bug: variable " + name + " is not declared")
	}
	return r
}

// OS reads the variables of this process.
func OS() Env { return Env{os.LookupEnv, os.Environ, new(rows)} }

// Of reads variables from a list of NAME=VALUE; of several with one name the first counts, as in getenv(3).
func Of(list ...string) Env {
	return Env{
		lookup: func(name string) (string, bool) {
			for _, v := range list {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value, true
				}
			}
			return "", false
		},
		all:  func() []string { return slices.Clone(list) },
		rows: new(rows),
	}
}

// With returns an Env in which a variable has another value.
func (e Env) With(n Name, value string) Env {
	name := n.name()
	return Env{
		lookup: func(asked string) (string, bool) {
			if asked == name {
				return value, true
			}
			return e.lookup(asked)
		},
		all: func() []string {
			list := slices.DeleteFunc(slices.Clone(e.all()), func(v string) bool { return strings.HasPrefix(v, name+"=") })
			return append(list, name+"="+value)
		},
		rows: e.rows,
	}
}

// Environ returns all of it as NAME=VALUE.
func (e Env) Environ() []string { return e.all() }

// Lookup returns the value of a variable by its name, declared or not: for a caller that is given the name by a person.
func (e Env) Lookup(name string) (string, bool) { return e.lookup(name) }

// Raw is Lookup with "" for a variable that is not set, in the form of os.Getenv.
func (e Env) Raw(name string) string {
	v, _ := e.lookup(name)
	return v
}

// An Error is a variable with a value that it cannot have.
type Error struct {
	Name string
	Text string // such as `"maybe" is none of …`
}

func (e *Error) Error() string { return e.Name + ": " + e.Text }

// Errorf makes the error of a variable whose value is read but cannot be used.
func Errorf(n Name, format string, args ...any) error {
	return &Error{n.name(), fmt.Sprintf(format, args...)}
}

// Set reports whether a variable is set at all.
func (e Env) Set(n Name) bool {
	_, set := e.lookup(n.name())
	return set
}

// Text returns the value as it is, "" when it is not set.
func (e Env) Text(n Text) string { return e.Raw(string(n)) }

// Line returns the value without the blanks around it.
func (e Env) Line(n Line) string { return strings.TrimSpace(e.Raw(string(n))) }

// Path returns the value, and whether the variable is set.
func (e Env) Path(n Path) (string, bool) { return e.lookup(string(n)) }

// Is reports whether the variable is set.
func (e Env) Is(n Present) bool { return e.Set(n) }

const switchWords = "1, true, yes, on, 0, false, no, off"

// On reads a switch.
func (e Env) On(n Switch) (bool, error) {
	v := e.Raw(string(n))
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "1", "true", "yes", "on":
		return true, nil
	case "", "0", "false", "no", "off":
		return false, nil
	}
	return false, Errorf(n, "%s is none of %s", quote(v), switchWords)
}

// Unless reads a switch that is on unless it is switched off.
func (e Env) Unless(n Unless) (bool, error) {
	v := e.Raw(string(n))
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "", "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return true, Errorf(n, "%s is none of %s", quote(v), switchWords)
}

// One reads a variable that is on for 1.
func (e Env) One(n One) (bool, error) {
	v := e.Raw(string(n))
	switch strings.TrimSpace(v) {
	case "1":
		return true, nil
	case "", "0":
		return false, nil
	}
	return false, Errorf(n, "%s is neither 1 nor 0", quote(v))
}

// Word reads one of the words of the variable's row, without regard to the case of letters where the row says so, and the blanks
// around it. An unset or blank variable is the row's default.
func (e Env) Word(n Word) (string, error) {
	row := e.row(string(n))
	v := e.Raw(string(n))
	word := strings.TrimSpace(v)
	if row.AnyCase {
		word = strings.ToLower(word)
	}
	switch {
	case word == "":
		return row.Default, nil
	case slices.Contains(row.Words, word):
		return word, nil
	}
	return row.Default, Errorf(n, "%s is none of %s", quote(v), strings.Join(row.Words, ", "))
}

// Int reads a whole number. set is false for a blank variable; the number is then that of the row's default, or 0.
func (e Env) Int(n Number) (v int64, set bool, err error) {
	row := e.row(string(n))
	return e.number(n, row.Default, row.Min, row.Max)
}

// Millis reads a time in milliseconds, the row's default when it is not set.
func (e Env) Millis(n Millis) (time.Duration, error) {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	v, _, err := e.number(n, e.row(string(n)).Default, 1, most)
	return time.Duration(v) * time.Millisecond, err
}

func (e Env) number(n Name, standard string, low, high int64) (int64, bool, error) {
	def, _ := strconv.ParseInt(standard, 10, 64)
	text := e.Raw(n.name())
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return def, false, nil
	}
	v, err := strconv.ParseInt(trimmed, 10, 64)
	switch {
	case err != nil || strings.HasPrefix(trimmed, "+"):
		return def, true, Errorf(n, "%s is not a whole number", quote(text))
	case v < low:
		return def, true, Errorf(n, "%d is below %d", v, low)
	case v > high:
		return def, true, Errorf(n, "%d is above %d", v, high)
	}
	return v, true, nil
}

// TempDir is the folder for temporary files: TMPDIR, else /tmp.
func (e Env) TempDir() string {
	if dir := e.Raw(string(TmpDir)); dir != "" {
		return dir
	}
	return "/tmp"
}

// List reads a list that is separated by commas.
func (e Env) List(n List) (list []string) {
	for v := range strings.SplitSeq(e.Raw(string(n)), ",") {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

// Check reports every variable of the environment that cannot have its value: those that are not UTF-8, and those of the table
// whose kind does not allow it. Whether the value fits what is asked for, its reader tells.
func (e Env) Check() (errs []error) {
	for _, row := range table() {
		v, set := e.lookup(row.Name)
		if !set || row.Use != InForce {
			continue
		}
		if !utf8.ValidString(v) && !anyBytes(row.name) {
			errs = append(errs, &Error{row.Name, "is not UTF-8"})
			continue
		}
		if err := e.check(row.name); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// anyBytes reports whether a value need not be text: the name of a file, and the profile of system calls, whose reader takes other bytes
// for a variable that is not set, as cellos-supervisor 0.5.1 does, and says so.
func anyBytes(n Name) bool {
	_, path := n.(Path)
	return path || n == SubprocessSeccomp
}

func (e Env) check(n Name) (err error) {
	switch n := n.(type) {
	case Switch:
		_, err = e.On(n)
	case Unless:
		_, err = e.Unless(n)
	case One:
		_, err = e.One(n)
	case Word:
		_, err = e.Word(n)
	case Number:
		_, _, err = e.Int(n)
	case Millis:
		_, err = e.Millis(n)
	}
	return err
}

// quote shortens what a message repeats.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}
