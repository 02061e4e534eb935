package main

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
	exitUsage   = 2
	exitRefused = 125
)

// A console writes messages: one line each, to standard error.
type console struct {
	out, err io.Writer
	quiet    bool
	scrub    func(string) string // takes secrets out of a message; nil: there are none
}

func (u *console) write(kind, text string) {
	if u.scrub != nil {
		text = u.scrub(text)
	}
	fmt.Fprintf(u.err, "cellos: %s: %s\n", kind, oneLine(text))
}

func (u *console) error(text string) { u.write("error", text) }

func (u *console) hint(text string) {
	if text != "" && !u.quiet {
		u.write("hint", text)
	}
}

func (u *console) note(text string) {
	if !u.quiet {
		u.write("note", text)
	}
}

// oneLine keeps what a document or a file name brings along off the terminal: control characters, and marks that turn or hide text.
func oneLine(s string) string {
	return printable.Line(strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "; "))
}

// A failure is an error with its exit status. All parts of it are printed, each on a line of its own.
type failure struct {
	code int
	errs []error
}

func (f failure) Error() string { return errors.Join(f.errs...).Error() }

// A mistake is an error in how the program was called, with what to do about it.
type mistake struct{ text, hint string }

func (m mistake) Error() string { return m.text }
func (m mistake) Hint() string  { return m.hint }

// about says what the mistake is about.
func (m mistake) about(what string) mistake {
	m.text = what + ": " + m.text
	return m
}

// at names the command that the mistake was made in.
func (m mistake) at(command string) error {
	if command != "" {
		m = m.about(command)
	}
	return failure{exitUsage, []error{m}}
}

// A status is an exit code without a message.
type status int

func (s status) Error() string { return "exit status " + strconv.Itoa(int(s)) }

// exit prints an error and returns the exit status that belongs to it.
func (u *console) exit(err error) int {
	if err == nil {
		return 0
	}
	var s status
	if errors.As(err, &s) {
		return int(s)
	}
	f := failure{code: 1, errs: []error{err}}
	errors.As(err, &f)
	for _, e := range f.errs {
		u.print(e)
	}
	return f.code
}

// print writes one error, and its hint if it has one.
func (u *console) print(err error) {
	u.error(err.Error())
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		u.hint(h.Hint())
	}
}

// brief shortens what a message repeats of the command line.
func brief(s string) string {
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "…"
}

func quote(s string) string { return strconv.Quote(s) }

// refusal is the failure of a run that did not begin; a mistake on the command line stays one.
func refusal(err error) error {
	if f, ok := err.(failure); ok {
		return f
	}
	return failure{exitRefused, []error{err}}
}

// split undoes errors.Join.
func split(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func withText(text, hint string) error { return mistake{text, hint} }
