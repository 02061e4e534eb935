package variable

import (
	"fmt"
	"strings"
)

// Markdown writes the table as the page docs/variables.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Environment variables

<!-- Made from the table in package variable by go generate ./variable. DO NOT ` + "EDIT" + `. -->

Every variable that ` + "`cellos`" + ` reads; ` + "`cellos env`" + ` prints the same, with what is set. A value that its kind does not allow is an error
(exit status 125) and never the default. ` + "`supervise`" + ` is the program under its other name, ` + "`cellos-supervisor`" + `: a variable that begins
with CELLOS_ or CELL_OS_ and is not in this table is an error there, because a misspelt policy would be no policy.

| kind | how it is read |
|---|---|
`)
	for _, k := range kinds() {
		fmt.Fprintf(&b, "| %s | %s |\n", k[0], k[1])
	}
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| variable | kind | default | read by | what for |\n|---|---|---|---|---|\n", g.Title)
		for _, r := range g.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", "`"+r.Written()+"`", r.KindWords(), r.Default, r.Reader, strings.ReplaceAll(r.HelpWords(), "|", `\|`))
		}
	}
	return b.String()
}

// kinds says how each kind is read.
func kinds() [][2]string {
	return [][2]string{
		{Text("").kind(), "as it is"},
		{Line("").kind(), "without the blanks around it; blank counts as not set"},
		{Path("").kind(), "as it is; set and empty it names a file that cannot be read"},
		{Present("").kind(), "on when it is set, also to nothing and to 0"},
		{Switch("").kind(), "on for 1, true, yes, on; off for 0, false, no, off and blank; in any case of letters"},
		{Unless("").kind(), "off for 0, false, no, off; on for 1, true, yes, on and blank; in any case of letters"},
		{One("").kind(), "on for 1; off for 0 and blank"},
		{Word("").kind(), "one of the words; blank is the default"},
		{Number("").kind(), "a whole number; blank is the default"},
		{Millis("").kind(), "a whole number above 0; blank is the default"},
		{List("").kind(), "separated by commas; blanks around elements and empty elements do not count"},
		{Prefix("").kind(), "the beginning of the names of many"},
	}
}

// Written is the name with what may follow it.
func (r Row) Written() string {
	switch {
	case r.Scoped:
		return r.Name + "[__TARGET]"
	case r.Kind == Prefix("").kind():
		return r.Name + "KEY"
	}
	return r.Name
}

// KindWords is the kind, with the words or the bounds that go with it.
func (r Row) KindWords() string {
	switch {
	case len(r.Words) > 0:
		return r.Kind + ": " + strings.Join(r.Words, ", ")
	case r.Kind == Number("").kind() && r.Max < 1<<31:
		return fmt.Sprintf("%s, %d to %d", r.Kind, r.Min, r.Max)
	case r.Kind == Number("").kind() && r.Min > 0:
		return fmt.Sprintf("%s, at least %d", r.Kind, r.Min)
	}
	return r.Kind
}

// HelpWords is the help, with what becomes of the variable.
func (r Row) HelpWords() string {
	switch r.Use {
	case NotYet:
		return r.Help + " (not supported: a run with it is refused)"
	case Nothing:
		return r.Help + " (changes nothing)"
	}
	return r.Help
}
