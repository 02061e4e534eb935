package plan

import "strings"

// A Refusal is one thing that was asked for and cannot be enforced. Nothing starts.
type Refusal struct {
	From   string // where the document asks: spec.run.limits.cpuMax; "" if it is not one field
	Text   string // what cannot be done, and why
	Remedy string // what the person can do; may be empty
}

func (r Refusal) Error() string {
	if r.From == "" {
		return r.Text
	}
	return r.From + ": " + r.Text
}

// Refused is the error of For: every refusal, in the order of the document.
type Refused []Refusal

func (r Refused) Error() string {
	s := make([]string, len(r))
	for i := range r {
		s[i] = r[i].Error()
	}
	return strings.Join(s, "\n")
}

// Unwrap returns the refusals.
func (r Refused) Unwrap() []error {
	s := make([]error, len(r))
	for i := range r {
		s[i] = r[i]
	}
	return s
}
