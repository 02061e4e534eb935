package input

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// show writes a tree as a Go-like literal, without places.
func show(n *Node) string {
	switch n.Kind {
	case List:
		var items []string
		for _, item := range n.Items {
			items = append(items, show(item))
		}
		return "[" + strings.Join(items, " ") + "]"
	case Object:
		var members []string
		for _, m := range n.Members {
			members = append(members, m.Name+":"+show(m.Value))
		}
		return "{" + strings.Join(members, " ") + "}"
	case String:
		return "'" + n.Text + "'"
	case Null:
		return "null"
	}
	return n.Text
}

func TestJSON(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{}`, "{}"},
		{" \t\r\n[1, -0.5e+3,true,false,null]\n ", "[1 -0.5e+3 true false null]"},
		{`"\"\\\/\b\f\n\r\t\u00e9\u0000é"`, "'\"\\/\b\f\n\r\té\x00é'"},
		{`"\ud83d\ude00😀"`, "'😀😀'"},
		{`{"a":{"\u0061":[]}}`, "{a:{a:[]}}"},
		{"\"\u2028\u0085\x7f\"", "'\u2028\u0085\x7f'"},
		{strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 64) + strings.Repeat("]", 64)},
	} {
		n, err := Parse("a.json", []byte(c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if got := show(n); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestJSONRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, "f:1:1: the document is empty"},
		{" \n ", "f:2:2: the document is empty"},
		{"\xef\xbb\xbf{}", "f:1:1: begins with a byte order mark: save it as UTF-8 without one"},
		{"{\"a\":\n\"é\xff\"}", "f:2:3: is not UTF-8: byte 0xff begins no character"},
		{`{`, "f:1:2: expected a name in double quotes, found the end of the document"},
		{`{"a"}`, `f:1:5: expected ":" after a name, found '}'`},
		{`{"a":1 "b":2}`, `f:1:8: expected "," or "}", found '"'`},
		{`{a:1}`, "f:1:2: expected a name in double quotes, found 'a'"},
		{`[1,]`, "f:1:4: a comma without anything after it"},
		{`[,1]`, "f:1:2: expected a value, found ','"},
		{`{} {}`, "f:1:4: there is more after the end of the document, beginning with '{'"},
		{"{}\x00", `f:1:3: there is more after the end of the document, beginning with '\x00'`},
		{"// c\n{}", "f:1:1: expected a value, found '/' (JSON has no comments)"},
		{`[NaN]`, "f:1:2: expected a value, found 'N'"},
		{`[Infinity]`, "f:1:2: expected a value, found 'I'"},
		{`[-]`, "f:1:3: expected a digit, found ']'"},
		{`[+1]`, "f:1:2: expected a value, found '+'"},
		{`[.5]`, "f:1:2: expected a value, found '.'"},
		{`[1.]`, "f:1:4: expected a digit, found ']'"},
		{`[1e]`, "f:1:4: expected a digit, found ']'"},
		{`[01]`, "f:1:3: a number must not begin with 0"},
		{`[-01]`, "f:1:4: a number must not begin with 0"},
		{`[nul]`, "f:1:2: expected a value, found 'n'"},
		{`[True]`, "f:1:2: expected a value, found 'T'"},
		{`['a']`, `f:1:2: expected a value, found '\''`},
		{"[\"a\tb\"]", `f:1:4: a string contains the control character U+0009: write it as \u0009`},
		{"[\"a\nb\"]", `f:1:4: a string contains the control character U+000A: write it as \u000a`},
		{`["a`, "f:1:4: the document ends inside a string"},
		{`["\x"]`, "f:1:3: no escape sequence begins like this; a backslash is written as two"},
		{`["\u12g4"]`, `f:1:3: expected four hexadecimal digits after \u`},
		{`["\u12`, `f:1:3: expected four hexadecimal digits after \u`},
		{`["\ud800"]`, "f:1:3: a surrogate escape without its other half is no character"},
		{`["\udc00\ud800"]`, "f:1:3: a surrogate escape without its other half is no character"},
		{`["\ud800\u0041"]`, "f:1:3: a surrogate escape without its other half is no character"},
		{`["\ud800\uzzzz"]`, `f:1:3: expected four hexadecimal digits after \u`},
		{`{"x":{"y":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + "}}", "f:1:73: x.y: is nested more than 64 levels deep"},
		{strings.Repeat(" ", MaxBytes-1) + "{}", "f: is larger than 1 MiB"},
	} {
		refused(t, "a.json", c.text, c.want)
	}
}

func refused(t *testing.T, name, text, want string) {
	t.Helper()
	_, err := Parse(name, []byte(text))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("%.60q: got %v, want %s", text, err, want)
	} else if got := problems[0].In("f"); got != want {
		t.Errorf("%.60q:\ngot  %s\nwant %s", text, got, want)
	}
}

func TestYAML(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# c\n---\na: 1\n...\n", "{a:1}"},
		{"{\"a\": [true, null, \"x\\u00e9\"]}", "{a:[true null 'xé']}"},
		{"- ~\n-\n- Null\n- NULL\n- nULL\n", "[null null null null 'nULL']"},
		{"- TRUE\n- False\n- tRUE\n- yes\n- No\n- on\n- y\n", "[true false 'tRUE' 'yes' 'No' 'on' 'y']"},
		{"- 1\n- -1\n- +1\n- 010\n- 0o17\n- 0x1F\n- 1.5\n- .5\n- 1.\n- 1e3\n- -.inf\n- .NaN\n", "[1 -1 +1 010 0o17 0x1F 1.5 .5 1. 1e3 -.inf .NaN]"},
		{"- 1_000\n- 0b1\n- 0o8\n- 0xg\n- +\n- .\n- 1e\n- 2001-01-01\n- 1:30\n- +.nan\n- e5\n- <<\n", "['1_000' '0b1' '0o8' '0xg' '+' '.' '1e' '2001-01-01' '1:30' '+.nan' 'e5' '<<']"},
		{"a: '1'\nb: \"true\"\nc: |\n  x\n  y\nd: >-\n  x\n  y\n\"<<\": z\n", "{a:'1' b:'true' c:'x\ny\n' d:'x y' <<:'z'}"},
		{"a: b!c&d*e\n", "{a:'b!c&d*e'}"},
		{"a:\r\n  b: c\r\n", "{a:{b:'c'}}"},
		{"a: \"\\u2028\\0\"\n", "{a:'\u2028\x00'}"},
	} {
		n, err := Parse("a.yml", []byte(c.text))
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if got := show(n); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestYAMLRefused(t *testing.T) {
	const anchor = "has an anchor; write the value out where it is needed"
	const tag = "has a tag; values are what they look like, and strings can be quoted"
	for _, c := range []struct{ text, want string }{
		{"", "f:1:1: the document is empty"},
		{"# only a comment\n", "f:1:1: the document is empty"},
		{"a: 1\n---\nb: 2\n", "f:2:1: a second YAML document begins here; only one is read"},
		{"a: &x 1\n", "f:1:4: a: " + anchor},
		{"a: &x {}\nb: *x\n", "f:1:4: a: " + anchor},
		{"&x a: 1\n", "f:1:1: " + anchor},
		{"a: 1\nb: *x\n", "f:2:4: is an alias; write the value out"},
		{"a: !!str 1\n", "f:1:4: a: " + tag},
		{"a: ! 1\n", "f:1:4: a: " + tag},
		{"é: ! 1\n", "f:1:4: [\"é\"]: " + tag},
		{"a: ! {}\n", "f:1:4: a: " + tag},
		{"a: !\nb: 1\n", "f:1:4: a: " + tag},
		{"a: !x\n  b: 1\n", "f:1:4: a: " + tag},
		{"- !!binary aGk=\n", "f:1:3: [0]: " + tag},
		{"!!str a: 1\n", "f:1:1: " + tag},
		{"x:\n  <<: {a: 1}\n", "f:2:3: x: a merge key; write the members out"},
		{"1: a\n", "f:1:1: a name must be a string, not 1: put it in quotes"},
		{"true: a\n", "f:1:1: a name must be a string, not true: put it in quotes"},
		{"~: a\n", "f:1:1: a name must be a string, not null: put it in quotes"},
		{"[a]: b\n", "f:1:1: a name must be a string, not a list: put it in quotes"},
		{"a: 1\nb: \"x\u2028y\"\n", `f:2:6: contains '\u2028', which old and new YAML read differently: write it as an escape in double quotes`},
		{"a: \"\\ud83d\\ude00\"\n", "f:1: is not YAML: found invalid Unicode character escape code"},
		{"x: " + strings.Repeat("[", 64) + strings.Repeat("]", 64), "f:1:67: x: is nested more than 64 levels deep"},
	} {
		refused(t, "a.yaml", c.text, c.want)
	}
}

func TestParseChoosesByName(t *testing.T) {
	for _, c := range []struct {
		name, text string
		yaml       bool
	}{
		{"a.yaml", "{}", true}, {"a.yml", "{}", true}, {"a", "{}", false}, {"a.json", "a: 1", false}, {"yaml", "{}", false},
		{"-", " \n{}", false}, {"-", "a: 1", true}, {"-", "", true}, {"-", "# {", true}, {"/dev/stdin", "a: 1", false},
	} {
		if got := isYAML(c.name, []byte(c.text)); got != c.yaml {
			t.Errorf("%s %q: YAML is %v", c.name, c.text, got)
		}
	}
}

func TestSimilar(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"ARGV", "argv", true}, {"agrv", "argv", true}, {"arg", "argv", true}, {"argvs", "argv", true}, {"arqv", "argv", true},
		{"env", "argv", false}, {"vgra", "argv", false}, {"a", "b", false}, {"", "", true}, {"abcd", "abdcx", false}, {"argc", "argv", true},
	} {
		if similar(c.a, c.b) != c.want || similar(c.b, c.a) != c.want {
			t.Errorf("similar(%q, %q) is not %v", c.a, c.b, c.want)
		}
	}
}

func TestPath(t *testing.T) {
	p := (*Path)(nil).Field("spec").Field("labels").Field("a.b\n").Item(2).Field("").Field("x-1_")
	if got, want := p.String(), `spec.labels["a.b\n"][2][""].x-1_`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReportPlacesAndLoss(t *testing.T) {
	root, err := Parse("a.json", []byte("{\"list\": [1,\n\"x\"],\n\"n\": \"y\"}"))
	if err != nil {
		t.Fatal(err)
	}
	var into struct {
		List []int64 `json:"list"`
		N    int64   `json:"n"`
	}
	r := Decode(root, &into)
	list, n := (*Path)(nil).Field("list"), (*Path)(nil).Field("n")
	if !r.Lost(list) || !r.Lost(list.Item(1)) || r.Lost(list.Item(0)) || !r.Lost(n) || !r.Lost(n.Field("deeper")) || !r.Lost(nil) {
		t.Error("what is lost is not known")
	}
	r.Add(n, "follows")
	r.Add(list.Item(0), "is %d", 1)
	r.Add(list.Item(7), "is missing")
	want := Problems{
		{"list[7]", 1, 10, "is missing"},
		{"list[0]", 1, 11, "is 1"},
		{"list[1]", 2, 1, `must be a whole number, not the string "x"`},
		{"n", 3, 6, `must be a whole number, not the string "y"`},
	}
	if got := r.Err(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !reflect.DeepEqual(into.List, []int64{1, 0}) {
		t.Errorf("kept %v", into.List)
	}
}
