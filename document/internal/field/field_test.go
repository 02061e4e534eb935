package field

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	type object struct {
		Port    uint16   `json:"port" doc:"required,min=1,max=65535"`
		Words   []string `json:"words" doc:"nonull,omit,enum=a|b,or=x,when=k"`
		Mode    string   `json:"mode" doc:"default=env,format=portable"`
		private int
	}
	_ = object{}.private
	got := Of(reflect.TypeFor[object]())
	want := []Field{
		{Name: "port", Index: 0, Type: reflect.TypeFor[uint16](), Required: true, NoNull: true, Min: 1, Max: 65535},
		{Name: "words", Index: 1, Type: reflect.TypeFor[[]string](), NoNull: true, Omit: true, Max: math.MaxInt64, Enum: []string{"a", "b"}, Or: "x", When: "k"},
		{Name: "mode", Index: 2, Type: reflect.TypeFor[string](), NoNull: true, Default: "env", Max: math.MaxInt64, Format: "portable"},
	}
	if !slices.EqualFunc(got, want, func(a, b Field) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestUnknownOptionIsAMistakeInTheProgram(t *testing.T) {
	type object struct {
		A string `json:"a" doc:"requird"`
	}
	defer func() {
		if recover() == nil {
			t.Error("a misspelt option passed")
		}
	}()
	Of(reflect.TypeFor[object]())
}
