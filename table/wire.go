package table

import (
	"encoding/json"
	"fmt"

	"cellos.io/cellos/sysabi"
)

// A table travels as JSON to where another kernel executes it. Strings go as bytes, because paths need not be UTF-8. The texts of
// numbers, which only print, stay behind.

type wireStep struct {
	Name     []byte    `json:"n,omitempty"`
	Layer    string    `json:"l,omitempty"`
	Call     string    `json:"c"`
	Args     []wireArg `json:"a,omitempty"`
	Tolerate []int     `json:"t,omitempty"`
	Want     *int      `json:"w,omitempty"`
}

type wireArg struct {
	Kind   kind     `json:"k,omitempty"`
	Number uint64   `json:"n,omitempty"`
	Text   []byte   `json:"s,omitempty"` // of a path, of a handed descriptor
	Bytes  []byte   `json:"b,omitempty"`
	Vector [][]byte `json:"v,omitempty"`
}

// MarshalJSON writes the step so that UnmarshalJSON makes one of it that does the same.
func (s Step) MarshalJSON() ([]byte, error) {
	w := wireStep{Name: []byte(s.Name), Layer: s.Layer, Call: s.Call}
	for _, a := range s.Args {
		x := wireArg{Kind: a.kind, Number: a.n, Bytes: a.b}
		if a.kind == kindPath || a.kind == kindHanded {
			x.Text = []byte(a.text)
		}
		for _, v := range a.v {
			x.Vector = append(x.Vector, []byte(v))
		}
		w.Args = append(w.Args, x)
	}
	for _, e := range s.Tolerate {
		w.Tolerate = append(w.Tolerate, int(e))
	}
	if s.Want.set {
		w.Want = &s.Want.n
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote. What it accepts need not be valid: see Validate.
func (s *Step) UnmarshalJSON(b []byte) error {
	var w wireStep
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*s = Step{Name: string(w.Name), Layer: w.Layer, Call: w.Call}
	for _, x := range w.Args {
		if x.Kind > kindNull {
			return fmt.Errorf("an argument of kind %d", x.Kind)
		}
		a := Arg{kind: x.Kind, n: x.Number, text: string(x.Text), b: x.Bytes}
		if a.kind == kindStruct && a.b == nil {
			a.b = []byte{}
		}
		for _, v := range x.Vector {
			a.v = append(a.v, string(v))
		}
		s.Args = append(s.Args, a)
	}
	for _, e := range w.Tolerate {
		s.Tolerate = append(s.Tolerate, sysabi.Errno(e))
	}
	if w.Want != nil {
		s.Want = Exactly(*w.Want)
	}
	return nil
}
