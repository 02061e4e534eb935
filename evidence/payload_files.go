package evidence

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// What happened to a file, in FileChange.Change.
const (
	FileCreated  = "created"
	FileModified = "modified"
	FileDeleted  = "deleted"
	FileReplaced = "replaced" // by something of another kind
)

// FileChange is one difference between the working directory before and after the command.
type FileChange struct {
	Path   string // relative; bytes that are not UTF-8 also go into pathBase64
	Change string // FileCreated, …
	Kind   string // "file", "directory", "symlink", "fifo", "socket", "device"

	// Not for FileDeleted:
	Mode      uint32 // permission bits with set-id and sticky, written in octal: "0644"
	SizeBytes int64
	SHA256    string // 64 lower-case hexadecimal digits; empty (no regular file, too large, unreadable): left out
}

// Files is the list of changed files. A list that does not fit in one event goes into several: see Split.
type Files struct {
	Changes   []FileChange
	Total     int  // how many changes there are, over all parts
	Truncated bool // the list was cut: Total is larger than what is listed

	Part, Parts int // from 1; 0 stands for 1
}

// filesPerPart bounds the encoded changes of one part, in bytes: a quarter of MaxLine, so that base64, escapes that
// a transport adds and a signed envelope around it still fit.
const filesPerPart = MaxLine / 4

// Split returns the parts of f to append one after the other; a list that fits is one part.
func (f Files) Split() []Files {
	var parts []Files
	size, from := 0, 0
	for i, c := range f.Changes {
		n := len(appendChange(&object{}, c).b) + 3
		if size+n > filesPerPart && i > from {
			parts = append(parts, Files{Changes: f.Changes[from:i]})
			size, from = 0, i
		}
		size += n
	}
	parts = append(parts, Files{Changes: f.Changes[from:]})
	for i := range parts {
		parts[i].Total, parts[i].Truncated = max(f.Total, len(f.Changes)), f.Truncated
		parts[i].Part, parts[i].Parts = i+1, len(parts)
	}
	return parts
}

func (Files) Type() string { return TypeFiles }

func (p Files) AppendData(dst []byte, r *Run) []byte {
	o := begin(dst)
	o.str("cellId", r.CellID)
	list(o, "changes", p.Changes, func(o *object, c FileChange) { appendChange(o, c) })
	o.num("part", int64(max(p.Part, 1)))
	o.num("parts", int64(max(p.Parts, 1)))
	o.str("runId", r.RunID)
	o.str("specId", r.SpecID)
	o.num("total", int64(max(p.Total, len(p.Changes))))
	o.boolean("truncated", p.Truncated)
	return o.end()
}

func appendChange(o *object, c FileChange) *object {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	}
	o.str("change", c.Change)
	o.str("kind", c.Kind)
	if c.Change != FileDeleted {
		o.str("mode", "0"+strconv.FormatUint(uint64(c.Mode), 8))
	}
	o.str("path", c.Path)
	if !utf8.ValidString(c.Path) {
		o.str("pathBase64", base64.StdEncoding.EncodeToString([]byte(c.Path)))
	}
	if c.Change != FileDeleted {
		o.strOpt("sha256", c.SHA256)
		o.num("sizeBytes", c.SizeBytes)
	}
	return o
}
