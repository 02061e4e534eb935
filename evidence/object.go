package evidence

import (
	"encoding/json"
	"strconv"
	"time"

	"cellos.io/cellos/evidence/canon"
	"cellos.io/cellos/jsonwire"
)

// object appends one JSON object. Callers name the members in ascending order; the tests check it on every payload.
// Names are ASCII words that need no escape.
type object struct{ b []byte }

func begin(dst []byte) *object { return &object{append(dst, '{')} }

func (o *object) end() []byte { return append(o.b, '}') }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) str(name, v string) {
	o.name(name)
	o.b = jsonwire.AppendString(o.b, v)
}

// strOpt leaves the member out when v is empty.
func (o *object) strOpt(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

// strPtr leaves the member out when v is nil.
func (o *object) strPtr(name string, v *string) {
	if v != nil {
		o.str(name, *v)
	}
}

// strNull writes null when v is nil.
func (o *object) strNull(name string, v *string) {
	if v == nil {
		o.null(name)
	} else {
		o.str(name, *v)
	}
}

func (o *object) null(name string) {
	o.name(name)
	o.b = append(o.b, "null"...)
}

func (o *object) num(name string, v int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) unum(name string, v uint64) {
	o.name(name)
	o.b = strconv.AppendUint(o.b, v, 10)
}

// numNull writes null when v is nil.
func (o *object) numNull(name string, v *int64) {
	if v == nil {
		o.null(name)
	} else {
		o.num(name, *v)
	}
}

func (o *object) intPtr(name string, v *int) {
	if v != nil {
		o.num(name, int64(*v))
	}
}

func (o *object) boolean(name string, v bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *object) boolPtr(name string, v *bool) {
	if v != nil {
		o.boolean(name, *v)
	}
}

func (o *object) float(name string, v float64) {
	o.name(name)
	o.b = jsonwire.AppendFloat(o.b, v)
}

func (o *object) time(name string, t time.Time) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = append(AppendTime(o.b, t), '"')
}

func (o *object) strs(name string, list []string) {
	o.name(name)
	o.b = append(o.b, '[')
	for i, s := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = jsonwire.AppendString(o.b, s)
	}
	o.b = append(o.b, ']')
}

// object writes a member that is an object, filled by fill.
func (o *object) object(name string, fill func(*object)) {
	o.name(name)
	o.b = append(o.b, '{')
	fill(o)
	o.b = append(o.b, '}')
}

// free writes a member from free values; nil is null. A value that JSON cannot express becomes a text that says so,
// because an event must not be lost for it.
func (o *object) free(name string, v any) {
	o.name(name)
	o.b = appendFree(o.b, v)
}

func appendFree(dst []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err == nil {
		var out []byte
		if out, err = canon.Append(dst, text); err == nil {
			return out
		}
	}
	return jsonwire.AppendString(dst, "not expressible in JSON: "+err.Error())
}

// list writes a member that is an array of objects.
func list[T any](o *object, name string, items []T, fill func(*object, T)) {
	o.name(name)
	o.b = append(o.b, '[')
	for i, it := range items {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = append(o.b, '{')
		fill(o, it)
		o.b = append(o.b, '}')
	}
	o.b = append(o.b, ']')
}
