package wire

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
)

// fill gives every member a value that is not its zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k").Convert(v.Type().Key()), reflect.ValueOf(int64(7)).Convert(v.Type().Elem()))
	case reflect.String:
		v.SetString("\"quoted\" \\ <é>\u2028")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	}
}

// Every event of a gate arrives as it was, member by member, in the form that messages have and in that of encoding/json.
func TestEvents(t *testing.T) {
	for _, k := range kinds() {
		v := reflect.New(k.is).Elem()
		fill(v)
		sent := v.Interface().(evidence.Payload)
		m, err := Of("a \"source\"", sent)
		if err != nil {
			t.Fatal(err)
		}
		m.Ahead = 9
		body, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var got, plain Message
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", k.word, err)
		}
		text, _ := json.Marshal(m)
		if err := json.Unmarshal(text, &plain); err != nil || !reflect.DeepEqual(got, plain) {
			t.Errorf("%s: %+v is not %+v, %v", k.word, got, plain, err)
		}
		p, err := got.Event()
		if err != nil || !reflect.DeepEqual(p, sent) {
			t.Errorf("%s: arrived as %+v, want %+v (%v)", k.word, p, sent, err)
		}
	}
	if _, err := Of("s", evidence.Started{}); err == nil {
		t.Error("a gate can say that a cell started")
	}
	if _, err := (Message{Kind: Event, Payload: "started", Data: []byte("{}")}).Event(); err == nil {
		t.Error("a gate can say that a cell started")
	}
}
