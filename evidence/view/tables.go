package view

import (
	"fmt"
	"strings"
	"time"
)

// kind is what was refused, and who says so if nobody saw it.
func (d Denial) kind() string {
	if d.ClaimedBy == "" {
		return d.What
	}
	return d.What + ", the " + d.ClaimedBy + " claims"
}

func (r *Run) htmlDenials(h *page) {
	if len(r.Denials) == 0 {
		return
	}
	h.begin("Refused", "what the command asked for and was not granted")
	h.heads("Times", "Kind", "Asked for", "Would be allowed by")
	for _, d := range r.Denials {
		h.raw("<tr>")
		h.in("td", "num", fmt.Sprint(d.Count))
		h.in("td", "name", d.kind())
		h.in("td", "mono", d.Name)
		h.in("td", "mono", dash(d.Grant))
		h.raw("</tr>\n")
	}
	h.raw("</tbody>\n</table>\n")
	h.end()
}

func (r *Run) htmlChanges(h *page) {
	if len(r.Changes) > 0 {
		h.begin("Changed files", r.changed())
		h.heads("Change", "Path", "Size", "SHA-256")
		for _, c := range r.Changes {
			h.raw("<tr>")
			h.in("td", "name", c.Change)
			h.in("td", "mono", c.Path)
			size := c.Kind
			if c.Kind == "file" {
				size = Size(c.SizeBytes)
			}
			h.in("td", "num", dash(size))
			h.in("td", "mono quiet", dash(c.SHA256))
			h.raw("</tr>\n")
		}
		h.raw("</tbody>\n</table>\n")
		if n := r.ChangesTotal - len(r.Changes); n > 0 {
			h.in("p", "quiet", fmt.Sprintf("and %d more", n))
		}
		h.end()
	}
	if len(r.Artifacts) == 0 {
		return
	}
	h.begin("Exported", "")
	h.heads("Artifact", "To", "Size", "SHA-256")
	for _, a := range r.Artifacts {
		h.raw("<tr>")
		h.in("td", "name", a.Name)
		if a.Failed != "" {
			h.in("td", "bad-cell", "✗ "+a.Failed)
		} else {
			h.in("td", "mono", a.Destination)
		}
		h.in("td", "num", Size(a.Size))
		h.in("td", "mono quiet", dash(a.SHA256))
		h.raw("</tr>\n")
	}
	h.raw("</tbody>\n</table>\n")
	h.end()
}

func (r *Run) htmlRecord(h *page) {
	h.begin("Record", "")
	for _, p := range r.Problems {
		h.in("p", "bad-cell small", "cannot be read: "+p)
	}
	h.heads("What", "Value")
	row := func(name, value string) {
		if value != "" {
			h.raw("<tr>")
			h.in("td", "name", name)
			h.in("td", "mono", value)
			h.raw("</tr>\n")
		}
	}
	row("Verification", r.Proof())
	row("Signed by", strings.Join(r.Keys, ", "))
	row("Identity", r.Identity)
	row("Run id", r.RunID)
	row("Document", r.Document)
	row("Plan", r.PlanDigest)
	row("Not observed", strings.Join(r.NotObserved, ", "))
	h.raw("</tbody>\n</table>\n")
	h.end()
	h.raw("<footer>")
	h.text("Written by cellos show --html from the events of the run. The page proves nothing by itself: cellos verify " + r.title() + " does. Last event " + r.Ended.UTC().Format(time.RFC3339Nano) + ".")
	h.raw("</footer>\n")
}
