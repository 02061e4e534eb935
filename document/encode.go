package document

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"cellos.io/cellos/document/format"
	"cellos.io/cellos/document/input"
	"cellos.io/cellos/document/internal/field"
	"cellos.io/cellos/jsonwire"
)

// JSON writes d as a document, on one line, leaving out what it does not say. Parse reads the same document from it,
// provided that d keeps the rules: JSON itself only refuses texts that are not UTF-8, which JSON cannot hold.
func (d *Document) JSON() ([]byte, error) {
	e := encoder{fields: map[reflect.Type][]field.Field{}}
	e.value(reflect.ValueOf(d).Elem(), nil, &field.Field{})
	if e.err != nil {
		return nil, e.err
	}
	return append(e.dst, '\n'), nil
}

// encoder writes the objects of a document as their struct tags say.
type encoder struct {
	dst       []byte
	canonical bool // write absent values as null and defaults in full
	fields    map[reflect.Type][]field.Field
	err       error
}

func (e *encoder) value(v reflect.Value, p *input.Path, f *field.Field) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			e.dst = append(e.dst, "null"...)
			return
		}
		e.value(v.Elem(), p, f)
	case reflect.Struct:
		e.object(v, p, f)
	case reflect.Slice:
		e.list(v, p, f)
	case reflect.Map:
		e.names(v, p)
	case reflect.String:
		s := v.String()
		if s == "" && f.Default != "" {
			s = f.Default
		}
		e.text(s, p)
	case reflect.Bool:
		e.dst = strconv.AppendBool(e.dst, v.Bool())
	case reflect.Int64:
		e.dst = strconv.AppendInt(e.dst, v.Int(), 10)
	case reflect.Uint16:
		e.dst = strconv.AppendUint(e.dst, v.Uint(), 10)
	default:
		panic("cellos bug: no document holds a " + v.Type().String())
	}
}

func (e *encoder) of(t reflect.Type) []field.Field {
	fields, known := e.fields[t]
	if !known {
		fields = field.Of(t)
		e.fields[t] = fields
	}
	return fields
}

func (e *encoder) object(v reflect.Value, p *input.Path, f *field.Field) {
	fields := e.of(v.Type())
	if f.Or != "" {
		if short, ok := only(v, fields, f.Or); ok {
			e.text(short, p)
			return
		}
	}
	kind := ""
	begin := len(e.dst)
	e.dst = append(e.dst, '{')
	for i := range fields {
		f := &fields[i]
		member := v.Field(f.Index)
		if f.Name == "kind" {
			kind = member.String()
		}
		if f.When != "" && f.When != kind || e.leftOut(member, f) {
			continue
		}
		if len(e.dst) > begin+1 {
			e.dst = append(e.dst, ',')
		}
		e.dst = append(jsonwire.AppendString(e.dst, f.Name), ':')
		e.value(member, p.Field(f.Name), f)
	}
	e.dst = append(e.dst, '}')
}

// leftOut reports whether a member is not written.
func (e *encoder) leftOut(v reflect.Value, f *field.Field) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() && (f.Omit || !e.canonical)
	case reflect.Slice, reflect.Map:
		if e.canonical {
			return f.Omit && v.Len() == 0
		}
		return v.IsNil() && !f.Required
	case reflect.Bool:
		return !v.Bool() && f.Default == "" && (f.Omit || !e.canonical)
	case reflect.String:
		return v.String() == "" && f.Default != "" && !e.canonical
	}
	return false
}

// only returns the text of the field called name, if v has no other.
func only(v reflect.Value, fields []field.Field, name string) (string, bool) {
	text := ""
	for _, f := range fields {
		if f.Name == name {
			text = v.Field(f.Index).String()
		} else if !v.Field(f.Index).IsZero() {
			return "", false
		}
	}
	return text, true
}

func (e *encoder) list(v reflect.Value, p *input.Path, f *field.Field) {
	if v.IsNil() && !f.NoNull {
		e.dst = append(e.dst, "null"...)
		return
	}
	e.dst = append(e.dst, '[')
	for i := range v.Len() {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.value(v.Index(i), p.Item(i), f)
	}
	e.dst = append(e.dst, ']')
}

// names writes an object whose names are free, in ascending order of their bytes.
func (e *encoder) names(v reflect.Value, p *input.Path) {
	m := v.Interface().(map[string]string)
	if m == nil {
		e.dst = append(e.dst, "null"...)
		return
	}
	e.dst = append(e.dst, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		e.text(name, p.Field(name))
		e.dst = append(e.dst, ':')
		e.text(m[name], p.Field(name))
	}
	e.dst = append(e.dst, '}')
}

func (e *encoder) text(s string, p *input.Path) {
	if e.err == nil && !e.canonical && !utf8.ValidString(s) {
		e.err = fmt.Errorf("writing %s: %s is not UTF-8", p, format.Quote(s))
	}
	e.dst = jsonwire.AppendString(e.dst, s)
}
