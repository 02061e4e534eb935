// Package eventtest compares event streams with stored ones in which volatile values are placeholders, for tests.
//
//	c, err := eventtest.Load(os.DirFS("testdata"), "plain-success")
//	for _, d := range c.Compare(got, eventtest.Options{Dir: dir, AllowOwn: true}) {
//		t.Error(d)
//	}
//
// The README beside the stored streams says how they were made and what the placeholders match. The package
// does not run the cases.
package eventtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

// Case is one NAME.case.json with its NAME.jsonl.
type Case struct {
	Name     string            `json:"name"`
	About    string            `json:"about"`
	Compat   string            `json:"compat"` // "exact", "later" or "informative"
	Ours     any               `json:"ours"`   // how we differ, in an informative case
	As       string            `json:"as"`     // "any", "nobody" or "root"
	Via      string            `json:"via"`    // "stdin", or empty for a file
	Needs    []string          `json:"needs"`
	Env      map[string]string `json:"env"`   // may hold ${DIR} and the like
	Files    map[string]File   `json:"files"` // made in the case's folder before the run
	DNS      json.RawMessage   `json:"dns"`
	Async    []string          `json:"async"` // types, without the common prefix, that come anywhere
	Expect   struct{ Exit int }
	Document json.RawMessage `json:"document"`
	Text     *string         `json:"documentText"`

	CanonicalSpec       string `json:"canonicalSpec"`
	CanonicalSpecDigest string `json:"canonicalSpecDigest"`

	Stream []byte `json:"-"` // the expected lines
}

// File is one of a case's files. Text and JSON may hold ${DIR} and the like.
type File struct {
	Text *string         `json:"text"`
	JSON json.RawMessage `json:"json"` // written compact
	Dir  bool            `json:"dir"`
	Mode string          `json:"mode"` // octal; empty: 0644, or 0755 for a directory
}

// Bytes returns what the file holds.
func (f File) Bytes(table map[string]string) []byte { return compact(f.Text, f.JSON, table) }

// Load reads one case.
func Load(dir fs.FS, name string) (Case, error) {
	var c Case
	text, err := fs.ReadFile(dir, name+".case.json")
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil {
		c.Stream, err = fs.ReadFile(dir, name+".jsonl")
	}
	if err != nil {
		return c, fmt.Errorf("loading case %s: %w", name, err)
	}
	return c, nil
}

// Names returns the names of all cases in dir, in order.
func Names(dir fs.FS) ([]string, error) {
	files, err := fs.Glob(dir, "*.case.json")
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".case.json")
	}
	return files, err
}

// DocumentBytes returns the document as it is handed over: its text, or the object compact in the order given, with
// ${NAME} replaced from table.
func (c Case) DocumentBytes(table map[string]string) []byte {
	return compact(c.Text, c.Document, table)
}

func compact(text *string, value json.RawMessage, table map[string]string) []byte {
	if text != nil {
		return []byte(Expand(*text, table))
	}
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return nil // a case that was loaded holds valid JSON, or neither of the two
	}
	return []byte(Expand(b.String(), table))
}

// Expand replaces ${NAME} by table's values.
func Expand(text string, table map[string]string) string {
	for k, v := range table {
		text = strings.ReplaceAll(text, "${"+k+"}", v)
	}
	return text
}
