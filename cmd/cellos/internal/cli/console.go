package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cellos.io/cellos/printable"
)

// Exit codes of the command line itself; those of a run are in package supervisor.
const (
	ExitUsage   = 2
	ExitRefused = 125
)

// A Console writes messages: one line each, to standard error.
type Console struct {
	Out, Err io.Writer
	Quiet    bool
	Scrub    func(string) string // takes secrets out of a message; nil: there are none
}

func (u *Console) write(kind, text string) {
	if u.Scrub != nil {
		text = u.Scrub(text)
	}
	fmt.Fprintf(u.Err, "cellos: %s: %s\n", kind, OneLine(text))
}

// Error prints an error message.
func (u *Console) Error(text string) { u.write("error", text) }

// Hint prints what would help, unless the console is quiet or there is nothing to say.
func (u *Console) Hint(text string) {
	if text != "" && !u.Quiet {
		u.write("hint", text)
	}
}

// Note prints what a person should know, unless the console is quiet.
func (u *Console) Note(text string) {
	if !u.Quiet {
		u.write("note", text)
	}
}

// OneLine keeps what a document or a file name brings along off the terminal: control characters, and marks that turn or hide text.
func OneLine(s string) string {
	return printable.Line(strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "; "))
}

// A Failure is an error with its exit status. All parts of it are printed, each on a line of its own.
type Failure struct {
	Code int
	Errs []error
}

func (f Failure) Error() string { return errors.Join(f.Errs...).Error() }

// A Mistake is an error in how the program was called, with what to do about it.
type Mistake struct{ text, hint string }

// NewMistake returns a mistake; hint may be empty.
func NewMistake(text, hint string) Mistake { return Mistake{text, hint} }

func (m Mistake) Error() string { return m.text }
func (m Mistake) Hint() string  { return m.hint }

// About says what the mistake is about.
func (m Mistake) About(what string) Mistake {
	m.text = what + ": " + m.text
	return m
}

// At names the command that the mistake was made in.
func (m Mistake) At(command string) error {
	if command != "" {
		m = m.About(command)
	}
	return Failure{Code: ExitUsage, Errs: []error{m}}
}

// A Status is an exit code without a message.
type Status int

func (s Status) Error() string { return "exit status " + strconv.Itoa(int(s)) }

// Exit prints an error and returns the exit status that belongs to it.
func (u *Console) Exit(err error) int {
	if err == nil {
		return 0
	}
	var s Status
	if errors.As(err, &s) {
		return int(s)
	}
	f := Failure{Code: 1, Errs: []error{err}}
	errors.As(err, &f)
	for _, e := range f.Errs {
		u.Print(e)
	}
	return f.Code
}

// Print writes one error, and its hint if it has one.
func (u *Console) Print(err error) {
	u.Error(err.Error())
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		u.Hint(h.Hint())
	}
}

// Brief shortens what a message repeats of the command line.
func Brief(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "…"
}

// Quote writes a string as a Go literal, so that nothing in it acts on a terminal.
func Quote(s string) string { return strconv.Quote(s) }

// Refusal is the failure of a run that did not begin; a mistake on the command line stays one.
func Refusal(err error) error {
	if f, ok := err.(Failure); ok {
		return f
	}
	return Failure{Code: ExitRefused, Errs: []error{err}}
}

// Split undoes errors.Join.
func Split(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}
