package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"cellos.io/cellos/secret"
	"go.yaml.in/yaml/v3"
)

const raw = "s3kr1t-Value"

// hides fails if text holds the value, in any spelling that package fmt has for bytes.
func hides(t *testing.T, what, text string) {
	t.Helper()
	decimal := strings.Trim(fmt.Sprint([]byte(raw)), "[]")
	for _, leak := range []string{raw, hex.EncodeToString([]byte(raw)), strings.ToUpper(hex.EncodeToString([]byte(raw))), decimal,
		strings.Trim(fmt.Sprintf("%#v", []byte(raw)), "[]byte{}"), fmt.Sprintf("% x", raw)} {
		if strings.Contains(text, leak) {
			t.Errorf("%s shows the secret: %q", what, text)
		}
	}
}

type holder struct {
	Public  secret.Value
	private secret.Value
	pointer *secret.Value
	list    []secret.Value
	table   map[string]secret.Value
	any     any
}

func hold() holder {
	v := secret.FromString(raw)
	return holder{v, v, &v, []secret.Value{v}, map[string]secret.Value{"k": v}, v}
}

func TestNoVerbPrintsIt(t *testing.T) {
	v, h := secret.FromString(raw), hold()
	values := map[string]any{"value": v, "pointer": &v, "holder": h, "pointer to holder": &h, "slice": []any{v, h}, "map": map[string]any{"a": v, "b": &h}}
	for verb := range 128 {
		for _, flags := range []string{"", "+", "#", "-20", " ", "0", "#+", "80.3"} {
			format := "%" + flags + string(rune(verb))
			for name, x := range values {
				hides(t, name+" with "+format, fmt.Sprintf(format, x))
			}
		}
	}
	if got := fmt.Sprintf("%v %s %q %x %d %#v", v, v, v, v, v, v); got != strings.TrimSpace(strings.Repeat(secret.Hidden+" ", 6)) {
		t.Errorf("printed as %q", got)
	}
	hides(t, "an error", fmt.Errorf("reading %w: %v", errors.New("x"), v).Error())
}

func TestNoEncodingHasIt(t *testing.T) {
	v, h := secret.FromString(raw), hold()
	for name, encode := range map[string]func(any) ([]byte, error){
		"json": json.Marshal, "yaml": yaml.Marshal, "xml": func(x any) ([]byte, error) { return xml.Marshal(struct{ X any }{x}) },
		"gob": func(x any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(x)
			return b.Bytes(), err
		},
		"slog text": func(x any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", x)
			return b.Bytes(), nil
		},
		"slog json": func(x any) ([]byte, error) {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", x)
			return b.Bytes(), nil
		},
	} {
		for _, x := range []any{v, &v, struct{ V secret.Value }{v}, h, &h} {
			out, err := encode(x)
			hides(t, name, string(out)+fmt.Sprint(err))
		}
	}
	if out, err := json.Marshal(v); err != nil || string(out) != `"[secret]"` {
		t.Errorf("JSON: %s, %v", out, err)
	}
	if err := gob.NewEncoder(new(bytes.Buffer)).Encode(v); err == nil {
		t.Error("gob encodes a secret: it would come back as something else")
	}
}

func TestTakeZeroesItsArgument(t *testing.T) {
	b := []byte(raw)
	v := secret.Take(b)
	if !bytes.Equal(b, make([]byte, len(raw))) {
		t.Errorf("left behind: %q", b)
	}
	if got := string(v.AppendTo(nil)); got != raw {
		t.Errorf("the value is %q", got)
	}
}

func TestWipe(t *testing.T) {
	v := secret.FromString(raw)
	other := v
	var kept []byte // against the rules, to see what is there afterwards
	if err := v.Use(func(b []byte) error { kept = b; return nil }); err != nil || string(kept) != raw {
		t.Fatalf("%q, %v", kept, err)
	}
	v.Wipe()
	v.Wipe()
	if !bytes.Equal(kept, make([]byte, len(raw))) {
		t.Errorf("after Wipe the bytes are %q", kept)
	}
	called := false
	if err := other.Use(func([]byte) error { called = true; return nil }); err != secret.ErrWiped || called {
		t.Errorf("a copy can still be used: %v", err)
	}
	if other.Len() != 0 || other.Equal([]byte(raw)) || other.Equal(nil) || len(other.AppendTo(nil)) != 0 {
		t.Error("a wiped value still has bytes")
	}
}

func TestUseReturnsTheErrorOfItsFunction(t *testing.T) {
	want := errors.New("x")
	if err := secret.FromString(raw).Use(func([]byte) error { return want }); err != want {
		t.Errorf("%v", err)
	}
}

func TestZeroValue(t *testing.T) {
	var v secret.Value
	v.Wipe()
	if v.Len() != 0 || !v.Equal(nil) || v.Equal([]byte("x")) || fmt.Sprint(v) != secret.Hidden {
		t.Error("the zero value is not an empty secret")
	}
}

func TestEqual(t *testing.T) {
	v := secret.FromString(raw)
	if !v.Equal([]byte(raw)) || v.Equal([]byte(raw+"x")) || v.Equal([]byte("S3kr1t-Value")) || v.Equal(nil) {
		t.Error("Equal is wrong")
	}
}

func TestReadFromJSON(t *testing.T) {
	var x struct{ Value secret.Value }
	if err := json.Unmarshal([]byte(`{"value":"s3kr1t-\u0056alue"}`), &x); err != nil || !x.Value.Equal([]byte(raw)) {
		t.Errorf("%v", err)
	}
	err := json.Unmarshal([]byte(`{"value":{"k":"`+raw+`"}}`), &x)
	if err == nil {
		t.Fatal("an object was taken for a secret")
	}
	hides(t, "the error", err.Error())
}

func TestConcurrentUse(t *testing.T) {
	v := secret.FromString(raw)
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range 100 {
				err := v.Use(func(b []byte) error {
					if string(b) != raw {
						t.Errorf("saw %q", b)
					}
					return nil
				})
				if err != nil && err != secret.ErrWiped {
					t.Error(err)
				}
			}
		})
	}
	g.Go(v.Wipe)
	g.Wait()
}

func ExampleTake() {
	body := []byte("correct horse")
	v := secret.Take(body)
	defer v.Wipe()
	fmt.Println(v, v.Len(), body[0])
	// Output: [secret] 13 0
}
