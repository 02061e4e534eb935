// Package field reads the struct tags that describe a document's objects, so that reading, writing, hashing and the JSON
// Schema follow from one description.
//
//	Port uint16 `json:"port" doc:"required,min=1,max=65535"`
//	fields := field.Of(reflect.TypeFor[EgressRule]())
//
// The json tag gives the name. The doc tag is a comma list:
//
//	required    must be there, null is refused
//	nonull      may be left out; null is refused; a list left out is the empty list
//	default=X   may be left out and then means X; null is refused
//	omit        left out of the canonical form when absent (or empty, or false), where others are written as null
//	min=N max=N bounds of an integer (inclusive); without them 0 to 2⁶³−1; for a list, min is the fewest elements
//	enum=A|B    the only texts allowed
//	format=F    format.Check(F, text) must hold
//	keys=F      format.Check(F, name) must hold for the free names of an object
//	when=K      the field exists only where the object's "kind" is K
//	or=NAME     a list element may be a text, which then means an object with just this field
//
// For a list, enum and format speak of its elements. Without required, nonull or default, null means absent.
package field

import (
	"math"
	"reflect"
	"strconv"
	"strings"
)

// A Field is one member of an object.
type Field struct {
	Name     string
	Index    int // in the Go struct
	Type     reflect.Type
	Required bool
	NoNull   bool // null is refused
	Omit     bool
	Default  string
	Min, Max int64
	Enum     []string
	Format   string
	Keys     string
	When     string
	Or       string
}

// Of returns the fields of struct type t in their order, which is the order of the canonical form.
func Of(t reflect.Type) []Field {
	fields := make([]Field, 0, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("json")
		if name == "" {
			continue
		}
		f := Field{Name: name, Index: i, Type: sf.Type, Max: math.MaxInt64}
		for option := range strings.SplitSeq(sf.Tag.Get("doc"), ",") {
			f.set(option)
		}
		fields = append(fields, f)
	}
	return fields
}

func (f *Field) set(option string) {
	key, value, _ := strings.Cut(option, "=")
	switch key {
	case "required":
		f.Required, f.NoNull = true, true
	case "nonull":
		f.NoNull = true
	case "default":
		f.Default, f.NoNull = value, true
	case "omit":
		f.Omit = true
	case "min":
		f.Min = number(value)
	case "max":
		f.Max = number(value)
	case "enum":
		f.Enum = strings.Split(value, "|")
	case "format":
		f.Format = value
	case "keys":
		f.Keys = value
	case "when":
		f.When = value
	case "or":
		f.Or = value
	case "":
	default:
		panic("cellos bug: unknown option in a doc tag: " + option)
	}
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("cellos bug: not a number in a doc tag: " + s)
	}
	return n
}
