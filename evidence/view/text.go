package view

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"cellos.io/cellos/printable"
)

// Bounds of what the text shows; the HTML page shows all that was kept.
const (
	textTimeline = 60
	textChanges  = 20
)

// Text writes the run for a terminal.
func (r *Run) Text(w io.Writer) error {
	t := &text{w: w}
	t.line("%s", r.Headline())
	t.line("%s", r.Proof())
	for _, f := range r.Findings {
		t.line("  %s", f)
	}
	t.line("")
	p := func(name, format string, args ...any) { t.line("%-10s %s", name, fmt.Sprintf(format, args...)) }
	p("run", "%s", r.title())
	p("cell", "%s", r.Cell)
	if len(r.Argv) > 0 {
		p("command", "%s", r.Command())
		p("ended by", "%s; processor time %s user, %s system; largest process %s", r.How(), Span(r.User), Span(r.System), Size(r.MaxRSS))
	}
	if s := r.Scrubbed(); s != "" {
		p("output", "%s", s)
	}
	p("started", "%s, took %s", r.Started.Local().Format(time.RFC3339), Span(r.Ended.Sub(r.Started)))
	if r.Backend != "" {
		p("backend", "%s", strings.TrimSpace(r.Backend+" "+r.Profile))
		p("network", "%s", r.Reach())
		if s := r.Opened(); s != "" {
			p("TLS opened", "%s", s)
		}
	}
	if len(r.CompatAllow) > 0 {
		p("opted out", "%s", strings.Join(r.CompatAllow, ", "))
	}
	if len(r.Missing) > 0 {
		p("missing", "%s", strings.Join(r.Missing, ", "))
	}
	p("boundary", "%s", r.Boundary())
	p("changes", "%s", r.changed())
	p("left over", "%s", r.LeftOver())
	if r.Record != "" {
		p("record", "%s", r.Record)
	}
	r.textTimeline(t)
	r.textBoundary(t)
	r.textUse(t)
	r.textDenials(t)
	r.textChanges(t)
	for _, x := range r.Problems {
		t.line("cannot be read: %s", x)
	}
	return t.err
}

func (r *Run) title() string {
	if r.Name != "" {
		return r.Name
	}
	return r.Identity
}

func (r *Run) changed() string {
	s := plural(r.ChangesTotal, "path")
	if r.ChangesCut {
		s += ", not all of them listed"
	}
	return s
}

// text writes lines; the first error stays.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.w, strings.TrimRight(printable.Line(fmt.Sprintf(format, args...)), " "))
	}
}

// table writes a heading and rows of cells in columns, the first of them their names; without further rows nothing.
func (t *text) table(title string, rows [][]string) {
	if len(rows) > 1 {
		t.rows(title, rows)
	}
}

func (t *text) rows(title string, rows [][]string) {
	if t.err != nil {
		return
	}
	t.line("")
	t.line("%s", title)
	w := tabwriter.NewWriter(t.w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = printable.Line(row[i])
		}
		if _, err := fmt.Fprintln(w, "  "+strings.Join(row, "\t")); err != nil {
			t.err = err
			return
		}
	}
	t.err = w.Flush()
}

func (r *Run) textTimeline(t *text) {
	var rows [][]string
	for i, m := range r.Timeline {
		if i == textTimeline {
			rows = append(rows, []string{"", fmt.Sprintf("and %d more: cellos show --events", len(r.Timeline)-i+r.TimelineMore), ""})
			break
		}
		mark := " "
		if m.Bad {
			mark = "!"
		}
		rows = append(rows, []string{fmt.Sprintf("%s %9s", mark, "+"+Span(m.After)), m.Title, m.Detail})
	}
	if len(rows) > 0 {
		t.rows("TIMELINE", rows)
	}
}

func (r *Run) textBoundary(t *text) {
	rows := [][]string{{"LAYER", "HOLDS", "PROMISED", "SEEN FROM INSIDE", "SEEN FROM OUTSIDE"}}
	for _, l := range r.Layers {
		rows = append(rows, []string{l.Name, yesNo(l.Holds), short(l.Promised, 60), short(dash(l.ObservedInside), 40), short(dash(l.ObservedOutside), 50)})
	}
	t.table("BOUNDARY", rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// uses are the rows of granted versus used, for the text and the page.
func (r *Run) uses() [][]string {
	var rows [][]string
	for _, f := range r.Files {
		what := "files"
		if f.Mode != "" {
			what = "working directory, " + f.Mode
		}
		name := f.Path
		if f.At != f.Path {
			name += " as " + f.At
		}
		used := "opened: " + count(f.Opened)
		if f.Changed != nil {
			used = fmt.Sprintf("%s changed", plural(int(*f.Changed), "path"))
			if f.Opened != nil {
				used = "opened " + plural(int(*f.Opened), "time") + ", " + used
			}
		} else if f.Opened != nil {
			used = "opened " + plural(int(*f.Opened), "time")
		}
		rows = append(rows, []string{what, name, strings.Join(f.Access, ", "), used})
	}
	for _, n := range r.Names {
		used := "connections: " + count(n.Connections)
		if n.Connections != nil {
			used = plural(int(*n.Connections), "connection")
		}
		if n.BytesSent != nil && n.BytesReceived != nil {
			used += fmt.Sprintf(", %s sent, %s received", Size(*n.BytesSent), Size(*n.BytesReceived))
		}
		rows = append(rows, []string{"name", n.Name, "connect", used})
	}
	for _, s := range r.Secrets {
		rows = append(rows, []string{"secret", s.Name, s.granted(), s.used()})
	}
	for _, l := range r.Limits {
		used := "not observed"
		if l.Peak != nil {
			used = amount(*l.Peak, l.Unit)
			if l.Limit > 0 {
				used += fmt.Sprintf(" (%.0f %%)", 100*float64(*l.Peak)/float64(l.Limit))
			}
		}
		if l.Reached {
			used += ", LIMIT REACHED"
		}
		rows = append(rows, []string{"limit", l.Name, amount(l.Limit, l.Unit), used})
	}
	return rows
}

func (r *Run) textUse(t *text) {
	t.table("GRANTED AND USED", append([][]string{{"KIND", "NAME", "GRANTED", "USED"}}, r.uses()...))
	if len(r.Unused) > 0 {
		t.line("  not needed by this run: %s", strings.Join(r.Unused, ", "))
	}
}

func (r *Run) textDenials(t *text) {
	rows := [][]string{{"TIMES", "KIND", "ASKED FOR", "WOULD BE ALLOWED BY"}}
	for _, d := range r.Denials {
		rows = append(rows, []string{fmt.Sprint(d.Count), d.kind(), d.Name, dash(d.Grant)})
	}
	t.table("REFUSED", rows)
}

func (r *Run) textChanges(t *text) {
	rows := [][]string{{"CHANGE", "PATH", "SIZE", "SHA-256"}}
	for i, c := range r.Changes {
		if i == textChanges {
			rows = append(rows, []string{"", fmt.Sprintf("and %d more: cellos show --events", r.ChangesTotal-i), "", ""})
			break
		}
		size := ""
		if c.Kind == "file" {
			size = Size(c.SizeBytes)
		}
		rows = append(rows, []string{c.Change, c.Path, size, short(c.SHA256, 17)})
	}
	t.table("CHANGED", rows)
	rows = [][]string{{"EXPORT", "TO", "SIZE", "SHA-256"}}
	for _, a := range r.Artifacts {
		if a.Failed != "" {
			rows = append(rows, []string{a.Name, "FAILED: " + a.Failed, "", ""})
		} else {
			rows = append(rows, []string{a.Name, a.Destination, Size(a.Size), short(a.SHA256, 17)})
		}
	}
	t.table("EXPORTED", rows)
}
