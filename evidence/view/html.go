package view

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"cellos.io/cellos/evidence/verify"
	"cellos.io/cellos/printable"
)

//go:embed page.css
var style string

// HTML writes the run as one page that needs nothing else: no script, no network (its content security policy forbids both), and it prints.
func (r *Run) HTML(w io.Writer) error {
	h := &page{}
	h.raw(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>`)
	h.text(r.Cell + " · " + r.Headline())
	h.raw("</title>\n<style>\n" + style + "</style>\n</head>\n<body>\n<main>\n")
	r.htmlHead(h)
	r.htmlDenials(h)
	r.htmlTimeline(h)
	r.htmlUse(h)
	r.htmlBoundary(h)
	r.htmlChanges(h)
	r.htmlRecord(h)
	h.raw("</main>\n</body>\n</html>\n")
	_, err := io.WriteString(w, h.b.String())
	return err
}

// page is HTML under way.
type page struct{ b strings.Builder }

func (h *page) raw(s string) { h.b.WriteString(s) }

// text writes untrusted text: visible characters only, and nothing that HTML means.
func (h *page) text(s string) {
	for _, c := range []byte(printable.Line(s)) {
		switch c {
		case '&':
			h.raw("&amp;")
		case '<':
			h.raw("&lt;")
		case '>':
			h.raw("&gt;")
		case '"':
			h.raw("&quot;")
		case '\'':
			h.raw("&#39;")
		default:
			h.b.WriteByte(c)
		}
	}
}

// in writes text in an element; class may be empty.
func (h *page) in(element, class, s string) {
	h.raw("<" + element)
	if class != "" {
		h.raw(` class="` + class + `"`)
	}
	h.raw(">")
	h.text(s)
	h.raw("</" + element + ">")
}

// begin opens a section with a heading, end closes it.
func (h *page) begin(title, more string) {
	h.raw("<section>\n<h2>")
	h.text(title)
	if more != "" {
		h.raw(" ")
		h.in("span", "quiet small", more)
	}
	h.raw("</h2>\n")
}

func (h *page) end() { h.raw("</section>\n") }

func (h *page) heads(names ...string) {
	h.raw("<table>\n<thead><tr>")
	for _, n := range names {
		h.in("th", "", n)
	}
	h.raw("</tr></thead>\n<tbody>\n")
}

func (h *page) fact(name, value string) {
	if value != "" {
		h.raw("<div>")
		h.in("dt", "", name)
		h.in("dd", "", value)
		h.raw("</div>\n")
	}
}

func class(good bool) string {
	if good {
		return "good"
	}
	return "bad"
}

func (r *Run) htmlHead(h *page) {
	h.raw(`<header class="` + class(r.Good()) + `">` + "\n")
	h.in("h1", "", r.Headline())
	h.raw("\n")
	h.in("p", "quiet", "cell "+r.Cell+" · run "+r.title())
	if len(r.Argv) > 0 {
		h.in("pre", "", r.Command())
	}
	h.raw("<div>")
	badge := func(good bool, yes, no string) {
		if good {
			h.in("span", "badge good", "✓ "+yes)
		} else {
			h.in("span", "badge bad", "✗ "+no)
		}
	}
	if r.Verdict == "" || r.Verdict == verify.NotClosed {
		h.in("span", "badge warn", r.Proof())
	} else {
		badge(r.Verdict == verify.Good, fmt.Sprintf("%d signed events, nothing missing", r.Count), r.Proof())
	}
	badge(r.Measured && r.Holds, "boundary held", "boundary "+r.Boundary())
	badge(r.Looked && r.LeftOver() == "nothing", "nothing left over", "left over: "+r.LeftOver())
	if len(r.Denials) > 0 {
		h.in("span", "badge warn", fmt.Sprintf("%d kinds of request refused", len(r.Denials)))
	}
	for _, layer := range r.Missing {
		h.in("span", "badge warn", "missing on the host: "+layer)
	}
	for _, tag := range r.CompatAllow {
		h.in("span", "badge warn", "opted out: "+tag)
	}
	h.raw("</div>\n")
	for _, f := range r.Findings {
		h.in("p", "bad-cell small", f)
	}
	h.raw("<dl>\n")
	h.fact("Started", r.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	h.fact("Took", Span(r.Ended.Sub(r.Started)))
	if r.Ending != "" {
		h.fact("Command", r.How())
		h.fact("Processor time", Span(r.User)+" user, "+Span(r.System)+" system")
		h.fact("Largest process", Size(r.MaxRSS))
	}
	if s := r.Scrubbed(); s != "" {
		h.fact("Output", s)
	}
	h.fact("Backend", strings.TrimSpace(r.Backend+" "+r.Profile))
	h.fact("System calls", r.Seccomp)
	h.fact("Network", r.Reach())
	if s := r.Opened(); s != "" {
		h.fact("TLS opened", s)
	}
	h.fact("Changed", r.changed())
	h.raw("</dl>\n</header>\n")
}

func (r *Run) htmlTimeline(h *page) {
	h.begin("Timeline", "since the first event")
	h.raw("<ol>\n")
	for _, m := range r.Timeline {
		h.raw("<li")
		if m.Bad {
			h.raw(` class="bad"`)
		}
		h.raw(">")
		h.in("span", "at", "+"+Span(m.After))
		h.raw(`<span class="dot"></span>`)
		h.in("span", "what", m.Title)
		h.in("span", "detail", m.Detail)
		h.raw("</li>\n")
	}
	h.raw("</ol>\n")
	if r.TimelineMore > 0 {
		h.in("p", "quiet", fmt.Sprintf("and %d more events", r.TimelineMore))
	}
	h.end()
}

func (r *Run) htmlBoundary(h *page) {
	h.begin("Boundary", r.Boundary())
	if len(r.Layers) > 0 {
		h.heads("Layer", "Holds", "Promised", "Seen from inside", "Seen from outside")
		for _, l := range r.Layers {
			if l.Holds {
				h.raw("<tr>")
			} else {
				h.raw(`<tr class="bad">`)
			}
			h.in("td", "name", l.Name)
			if l.Holds {
				h.in("td", "good-cell", "✓ yes")
			} else {
				h.in("td", "bad-cell", "✗ NO")
			}
			h.in("td", "", l.Promised)
			h.in("td", "quiet", dash(l.ObservedInside))
			h.in("td", "quiet small", dash(l.ObservedOutside))
			h.raw("</tr>\n")
		}
		h.raw("</tbody>\n</table>\n")
	}
	if len(r.NotCollected) > 0 {
		h.in("p", "quiet small", "asked for and not collected: "+strings.Join(r.NotCollected, ", "))
	}
	h.end()
}

func (r *Run) htmlUse(h *page) {
	rows := r.uses()
	if len(rows) == 0 {
		return
	}
	h.begin("Granted and used", "")
	h.heads("Kind", "Name", "Granted", "Used")
	limit := len(rows) - len(r.Limits)
	for i, row := range rows {
		h.raw("<tr>")
		h.in("td", "name", row[0])
		h.in("td", "mono", row[1])
		h.in("td", "", row[2])
		h.raw("<td>")
		h.text(row[3])
		if i >= limit {
			r.Limits[i-limit].meter(h)
		}
		h.raw("</td></tr>\n")
	}
	h.raw("</tbody>\n</table>\n")
	if len(r.Unused) > 0 {
		h.in("p", "small", "This run would have done without: "+strings.Join(r.Unused, ", "))
	}
	h.end()
}

// meter draws how far a limit was used.
func (l LimitUse) meter(h *page) {
	if l.Peak == nil || l.Limit <= 0 {
		return
	}
	share := min(100, max(1, 100*float64(*l.Peak)/float64(l.Limit)))
	full := ""
	if l.Reached {
		full = " full"
	}
	h.raw(fmt.Sprintf(`<span class="meter%s"><i style="width:%.0f%%"></i></span>`, full, share))
}
