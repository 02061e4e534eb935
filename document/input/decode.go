package input

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/internal/field"
)

// Decode reads the tree at root into the struct that into points to, as its tags say, and reports everything that does
// not fit: unknown and repeated fields, missing ones, wrong types, numbers out of range, texts that break their format.
// What fits is stored even when other parts do not. A struct type or tag that Decode cannot serve is a mistake in the
// program and panics.
func Decode(root *Node, into any) *Report {
	r := &Report{root: root, reported: map[string]bool{}, lost: map[string]bool{}, around: map[string]bool{}}
	d := decoder{Report: r, fields: map[reflect.Type][]field.Field{}}
	if root.Kind != Object {
		r.lose(root, nil, "the document must be an object, not "+kindFound(root))
		return r
	}
	r.repeated(root, nil)
	d.value(root, nil, reflect.ValueOf(into).Elem(), &field.Field{NoNull: true})
	return r
}

type decoder struct {
	*Report
	fields map[reflect.Type][]field.Field
}

func (d *decoder) of(t reflect.Type) []field.Field {
	fields, known := d.fields[t]
	if !known {
		fields = field.Of(t)
		d.fields[t] = fields
	}
	return fields
}

// value stores n, which is at p, in v. f says what else is asked of it.
func (d *decoder) value(n *Node, p *Path, v reflect.Value, f *field.Field) {
	if n.Kind == Null && !f.NoNull {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		before := len(d.problems)
		d.value(n, p, fresh.Elem(), f)
		if len(d.problems) == before || !d.lost[p.String()] {
			v.Set(fresh)
		}
	case reflect.Struct:
		if f.Or != "" && n.Kind == String {
			d.short(n, p, v, f)
		} else if d.is(n, p, Object, f) {
			d.object(n, p, v)
		}
	case reflect.Slice:
		if d.is(n, p, List, f) {
			d.list(n, p, v, f)
		}
	case reflect.Map:
		if d.is(n, p, Object, f) {
			d.names(n, p, v, f)
		}
	case reflect.String:
		if d.is(n, p, String, f) {
			d.text(n, p, v, f)
		}
	case reflect.Bool:
		if d.is(n, p, Bool, f) {
			v.SetBool(n.Text == "true")
		}
	case reflect.Int64, reflect.Uint16:
		if d.is(n, p, Number, f) {
			d.integer(n, p, v, f)
		}
	default:
		panic("cellos bug: no input is read into a " + v.Type().String())
	}
}

func (d *decoder) is(n *Node, p *Path, want Kind, f *field.Field) bool {
	if n.Kind == want {
		return true
	}
	wanted := want.String()
	if want == Number {
		wanted = "a whole number"
	}
	if f.Or != "" {
		wanted = "a string or an object"
	}
	d.lose(n, p, "must be "+wanted+", not "+kindFound(n))
	return false
}

func (d *decoder) object(n *Node, p *Path, v reflect.Value) {
	fields := d.of(v.Type())
	kind := d.kindOf(n, fields)
	for i := range fields {
		f := &fields[i]
		if f.When != "" && kind != "" && f.When != kind {
			continue
		}
		target := v.Field(f.Index)
		switch member := n.Member(f.Name); {
		case member != nil:
			d.value(member, p.Field(f.Name), target, f)
		case f.Required && (f.When == "" || kind != ""):
			d.lose(n, p.Field(f.Name), "is required")
		case f.Default != "":
			setDefault(target, f.Default)
		}
	}
	for i := range n.Members {
		m := &n.Members[i]
		if f := named(fields, m.Name); f == nil || f.When != "" && kind != "" && f.When != kind {
			at := Node{Line: m.Line, Column: m.Column}
			d.wrong(&at, p.Field(m.Name), unknown(fields, m.Name, f, kind))
		}
	}
}

// kindOf returns the kind that decides which fields an object has; "" when it has none, or one that is no kind.
func (d *decoder) kindOf(n *Node, fields []field.Field) string {
	member := n.Member("kind")
	if member == nil || member.Kind != String {
		return ""
	}
	for i := range fields {
		if fields[i].When == member.Text {
			return member.Text
		}
	}
	return ""
}

func named(fields []field.Field, name string) *field.Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

func unknown(fields []field.Field, name string, f *field.Field, kind string) string {
	if f != nil {
		return "is not a field of the kind " + kind
	}
	for i := range fields {
		if known := fields[i].Name; similar(name, known) {
			return "unknown field; did you mean " + known + "?"
		}
	}
	return "unknown field"
}

// short reads a string that stands for an object with one field.
func (d *decoder) short(n *Node, p *Path, v reflect.Value, f *field.Field) {
	inner := named(d.of(v.Type()), f.Or)
	d.value(n, p, v.Field(inner.Index), inner)
}

func (d *decoder) list(n *Node, p *Path, v reflect.Value, f *field.Field) {
	item := *f
	item.NoNull = true
	if int64(len(n.Items)) < f.Min {
		text := "must not be empty"
		if f.Min > 1 {
			text = fmt.Sprintf("must have at least %d elements", f.Min)
		}
		d.wrong(n, p, text)
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
	for i, from := range n.Items {
		d.value(from, p.Item(i), v.Index(i), &item)
	}
}

// names reads an object whose names are free.
func (d *decoder) names(n *Node, p *Path, v reflect.Value, f *field.Field) {
	value := *f
	value.NoNull = true
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Members)))
	for i := range n.Members {
		m := &n.Members[i]
		at := p.Field(m.Name)
		if problem := checkFormat(f.Keys, m.Name); problem != "" {
			d.wrong(&Node{Line: m.Line, Column: m.Column}, at, problem)
		}
		target := reflect.New(v.Type().Elem()).Elem()
		d.value(m.Value, at, target, &value)
		v.SetMapIndex(reflect.ValueOf(m.Name), target)
	}
}

func checkFormat(name, s string) string {
	if name == "" {
		return ""
	}
	return format.Check(name, s)
}

func (d *decoder) text(n *Node, p *Path, v reflect.Value, f *field.Field) {
	if f.Enum != nil && !contains(f.Enum, n.Text) {
		d.lose(n, p, "must be "+strings.Join(f.Enum, " or ")+", not "+format.Quote(n.Text))
		return
	}
	v.SetString(n.Text)
	if problem := checkFormat(f.Format, n.Text); problem != "" {
		d.wrong(n, p, problem)
	}
}

func contains(words []string, s string) bool {
	for _, w := range words {
		if w == s {
			return true
		}
	}
	return false
}

// integer reads digits only: 1.0, 1e2 and -0 are refused, because another reader may take them for something else.
func (d *decoder) integer(n *Node, p *Path, v reflect.Value, f *field.Field) {
	positive, negative := strings.CutPrefix(n.Text, "-")
	switch {
	case !digits(positive) || len(positive) > 1 && positive[0] == '0' || negative && positive == "0":
		d.lose(n, p, "must be a whole number in decimal digits, not "+cut(n.Text))
		return
	case negative:
		d.lose(n, p, fmt.Sprintf("%s is below %d", cut(n.Text), f.Min))
		return
	}
	i, err := strconv.ParseInt(n.Text, 10, 64)
	switch {
	case err != nil || i > f.Max:
		d.lose(n, p, fmt.Sprintf("%s is above %d", cut(n.Text), f.Max))
	case i < f.Min:
		d.lose(n, p, fmt.Sprintf("%d is below %d", i, f.Min))
	case v.Kind() == reflect.Uint16:
		v.SetUint(uint64(i))
	default:
		v.SetInt(i)
	}
}

func setDefault(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
	case reflect.Int64:
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic("cellos bug: not a number as default: " + text)
		}
		v.SetInt(i)
	default:
		panic("cellos bug: no default for a " + v.Type().String())
	}
}
