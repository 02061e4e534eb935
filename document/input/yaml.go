package input

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one YAML document with the library's parser, and gives its scalars their meaning itself: the library
// follows YAML 1.1 in places (octal 010, 1_000, dates, <<).
func parseYAML(data []byte) (*Node, *Problem) {
	y := &yamlReader{source: splitLines(data)}
	if problem := y.breaks(); problem != nil {
		return nil, problem
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	switch err := load(decoder, &first); {
	case errors.Is(err, io.EOF) || err == nil && len(first.Content) == 0:
		return nil, &Problem{Line: 1, Column: 1, Text: "the document is empty"}
	case err != nil:
		return nil, y.syntax(err)
	}
	switch err := load(decoder, &second); {
	case err == nil:
		return nil, &Problem{Line: second.Line, Column: second.Column, Text: "a second YAML document begins here; only one is read"}
	case !errors.Is(err, io.EOF):
		return nil, y.syntax(err)
	}
	return y.node(first.Content[0], nil, 1)
}

// load makes a panic of the library an error: parsers of this size have had some on odd input, and a document must not
// be able to end the supervisor.
func load(decoder *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read")
		}
	}()
	return decoder.Decode(n)
}

// syntax takes the library's error apart: "yaml: line 3: did not find expected key". It names no line where it means the
// first, or an alias without anchor.
func (y *yamlReader) syntax(err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, found := strings.CutPrefix(text, "unknown anchor '"); found {
		name, _, _ := strings.Cut(rest, "'")
		for i, line := range y.source {
			if at := bytes.Index(line, []byte("*"+name)); at >= 0 {
				return &Problem{Line: i + 1, Column: utf8.RuneCount(line[:at]) + 1, Text: isAlias}
			}
		}
	}
	line := 1
	if rest, found := strings.CutPrefix(text, "line "); found {
		if digits, rest, found := strings.Cut(rest, ": "); found {
			if n, err := strconv.Atoi(digits); err == nil {
				line, text = n, rest
				// decode.go, (*parser).fail: errors of the parser, unlike those of the scanner, count lines from 0.
				if strings.HasPrefix(text, "did not find expected ") && !strings.HasSuffix(text, "line break") {
					line++
				}
			}
		}
	}
	return &Problem{Line: line, Text: "is not YAML: " + strings.ReplaceAll(text, "\n", " ")}
}

const isAlias = "is an alias; write the value out"

type yamlReader struct {
	source       [][]byte // lines
	line, column int      // where at was asked last, from 1
	offset       int      // of column in line, in bytes
}

// splitLines cuts at the line breaks of YAML 1.2.2 section 5.4: LF, CR LF and CR.
func splitLines(data []byte) [][]byte {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	return bytes.Split(data, []byte("\n"))
}

// breaks refuses the characters that are line breaks in YAML 1.1, which the library follows, and none in YAML 1.2.
func (y *yamlReader) breaks() *Problem {
	for i, line := range y.source {
		if at := bytes.IndexAny(line, "\u0085\u2028\u2029"); at >= 0 {
			r, _ := utf8.DecodeRune(line[at:])
			return &Problem{Line: i + 1, Column: utf8.RuneCount(line[:at]) + 1,
				Text: "contains " + strconv.QuoteRuneToASCII(r) + ", which old and new YAML read differently: write it as an escape in double quotes"}
		}
	}
	return nil
}

// at returns the character at a place of the source, from which tags, anchors and aliases can be told: the library keeps no
// trace of the tag "!". Nodes come in the order of their places, so that each line is walked through once.
func (y *yamlReader) at(line, column int) rune {
	if line < 1 || line > len(y.source) {
		return 0
	}
	if line != y.line || column < y.column {
		y.line, y.column, y.offset = line, 1, 0
	}
	text := y.source[line-1]
	for ; y.column < column && y.offset < len(text); y.column++ {
		_, size := utf8.DecodeRune(text[y.offset:])
		y.offset += size
	}
	r, _ := utf8.DecodeRune(text[y.offset:])
	return r
}

func (y *yamlReader) node(from *yaml.Node, p *Path, depth int) (*Node, *Problem) {
	n := &Node{Line: from.Line, Column: from.Column}
	refused := func(text string) (*Node, *Problem) {
		return nil, &Problem{Path: p.String(), Line: n.Line, Column: n.Column, Text: text}
	}
	switch mark := y.at(n.Line, n.Column); {
	case from.Kind == yaml.AliasNode || mark == '*':
		return refused(isAlias)
	case from.Anchor != "" || mark == '&':
		return refused("has an anchor; write the value out where it is needed")
	case from.Style&yaml.TaggedStyle != 0 || mark == '!':
		return refused("has a tag; values are what they look like, and strings can be quoted")
	case from.Kind != yaml.ScalarNode && depth > MaxDepth:
		return nil, tooDeep(p, n.Line, n.Column)
	}
	switch from.Kind {
	case yaml.ScalarNode:
		n.Kind, n.Text = String, from.Value
		if from.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			n.Kind, n.Text = core(from.Value)
		}
		return n, nil
	case yaml.SequenceNode:
		n.Kind = List
		for i, from := range from.Content {
			item, problem := y.node(from, p.Item(i), depth+1)
			if problem != nil {
				return nil, problem
			}
			n.Items = append(n.Items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.Kind = Object
		return n, y.members(n, from.Content, p, depth)
	}
	return refused("is not YAML that can be read")
}

func (y *yamlReader) members(n *Node, pairs []*yaml.Node, p *Path, depth int) *Problem {
	for i := 0; i+1 < len(pairs); i += 2 {
		key, problem := y.node(pairs[i], p, depth+1)
		if problem != nil {
			return problem
		}
		switch {
		case key.Kind != String:
			return &Problem{Path: p.String(), Line: key.Line, Column: key.Column,
				Text: "a name must be a string, not " + kindFound(key) + ": put it in quotes"}
		case key.Text == "<<" && pairs[i].Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
			return &Problem{Path: p.String(), Line: key.Line, Column: key.Column, Text: "a merge key; write the members out"}
		}
		value, problem := y.node(pairs[i+1], p.Field(key.Text), depth+1)
		if problem != nil {
			return problem
		}
		n.Members = append(n.Members, Member{Name: key.Text, Line: key.Line, Column: key.Column, Value: value})
	}
	return nil
}

// core gives a plain scalar its meaning by the core schema (YAML 1.2.2 section 10.3.2). Numbers that JSON would write
// differently (010, 0x10, +1, .5) stay as they are written: whoever wants a number refuses them.
func core(s string) (Kind, string) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return Null, ""
	case "true", "True", "TRUE":
		return Bool, "true"
	case "false", "False", "FALSE":
		return Bool, "false"
	case ".nan", ".NaN", ".NAN":
		return Number, s
	}
	unsigned := strings.TrimLeft(s[:1], "+-") + s[1:]
	switch unsigned {
	case ".inf", ".Inf", ".INF":
		return Number, s
	}
	if octal, found := strings.CutPrefix(s, "0o"); found && octal != "" && strings.Trim(octal, "01234567") == "" {
		return Number, s
	}
	if hex, found := strings.CutPrefix(s, "0x"); found && hex != "" && strings.Trim(hex, "0123456789abcdefABCDEF") == "" {
		return Number, s
	}
	if isFloat(unsigned) {
		return Number, s
	}
	return String, s
}

// isFloat matches (\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
func isFloat(s string) bool {
	s, exponent, hasExponent := cutExponent(s)
	if hasExponent && !digits(exponent) {
		return false
	}
	whole, fraction, point := strings.Cut(s, ".")
	switch {
	case !point:
		return digits(whole)
	case whole == "":
		return digits(fraction)
	}
	return digits(whole) && (fraction == "" || digits(fraction))
}

func cutExponent(s string) (mantissa, exponent string, found bool) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, "", false
	}
	exponent = s[i+1:]
	if exponent != "" && (exponent[0] == '-' || exponent[0] == '+') {
		exponent = exponent[1:]
	}
	return s[:i], exponent, true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
