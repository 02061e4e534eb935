// Package secret holds values that must not be seen: it keeps them out of everything that prints, and wipes them when they are
// done with.
//
//	v := secret.Take(body)          // body is zeroed
//	defer v.Wipe()
//	fmt.Println(v)                  // [secret]
//	err := v.Use(func(b []byte) error { _, err := conn.Write(b); return err })
//
// What the type is about is accidents: a log line, an error text, an event, a debugger's dump of a structure around it. It cannot
// protect from code that asks for the bytes and keeps them.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
)

// Hidden is what a value looks like wherever it is printed or written as text.
const Hidden = "[secret]"

// ErrWiped is returned by Use after Wipe.
var ErrWiped = errors.New("the secret was wiped")

// Value is a secret of any bytes. The zero value is an empty one. Copies share the bytes: Wipe wipes them for all. Its methods
// may be called concurrently.
//
// Values are not comparable with ==; Equal does it in constant time.
type Value struct {
	// A function, so that whatever walks a structure by reflection (package fmt on an unexported field, a differ, a dumper)
	// finds the address of code and not the bytes.
	with func(func(*box))
}

// box is what copies of a value share.
type box struct {
	mu    sync.RWMutex
	b     []byte
	wiped bool
}

// Take moves b into a value: it copies b and zeroes it. A value that nobody refers to any more is wiped by the garbage collector,
// some time; Wipe does it now.
func Take(b []byte) Value {
	v := copied(b)
	clear(b)
	return v
}

// FromString copies s, which cannot be wiped: use it for what came as a string, such as an environment variable.
func FromString(s string) Value { return copied([]byte(s)) }

func copied(b []byte) Value {
	x := &box{b: append(make([]byte, 0, len(b)), b...)}
	runtime.AddCleanup(x, func(b []byte) { clear(b) }, x.b)
	return Value{func(f func(*box)) { f(x) }}
}

// Use calls f with the bytes, which f must neither keep nor change, and returns its error. After Wipe it returns ErrWiped and
// does not call f. Wipe waits for f: f must not call it.
func (v Value) Use(f func([]byte) error) (err error) {
	if v.with == nil {
		return f(nil)
	}
	v.with(func(x *box) {
		x.mu.RLock()
		defer x.mu.RUnlock()
		if x.wiped {
			err = ErrWiped
			return
		}
		err = f(x.b)
	})
	return err
}

// AppendTo appends the bytes to dst, for the one place that hands them over. Who calls it wipes the result, and makes room before:
// an append that grows leaves a copy behind. Of a wiped value nothing is appended.
func (v Value) AppendTo(dst []byte) []byte {
	v.Use(func(b []byte) error {
		dst = append(dst, b...)
		return nil
	})
	return dst
}

// Len returns the number of bytes; 0 after Wipe.
func (v Value) Len() (n int) {
	v.Use(func(b []byte) error { n = len(b); return nil })
	return n
}

// Equal compares with b, in a time that depends on the lengths only. A wiped value equals nothing.
func (v Value) Equal(b []byte) bool {
	same := false
	v.Use(func(a []byte) error { same = subtle.ConstantTimeCompare(a, b) == 1; return nil })
	return same
}

// Wipe overwrites the bytes with zeros, for all copies of the value. Wiping twice is no error.
func (v Value) Wipe() {
	if v.with == nil {
		return
	}
	v.with(func(x *box) {
		x.mu.Lock()
		defer x.mu.Unlock()
		clear(x.b)
		x.wiped = true
	})
}

// String returns Hidden.
func (Value) String() string { return Hidden }

// GoString returns Hidden.
func (Value) GoString() string { return Hidden }

// Format writes Hidden, whatever the verb and the flags.
func (Value) Format(f fmt.State, _ rune) { io.WriteString(f, Hidden) }

// LogValue is Hidden.
func (Value) LogValue() slog.Value { return slog.StringValue(Hidden) }

// MarshalText returns Hidden, so that a log or an event with a value in it is written, without the value.
func (Value) MarshalText() ([]byte, error) { return []byte(Hidden), nil }

// MarshalJSON returns Hidden as a JSON string.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Hidden + `"`), nil }

// errEncode is for encodings that are made to be read back: a placeholder would come back as a wrong secret.
var errEncode = errors.New("a secret is not encoded")

// MarshalBinary fails.
func (Value) MarshalBinary() ([]byte, error) { return nil, errEncode }

// GobEncode fails.
func (Value) GobEncode() ([]byte, error) { return nil, errEncode }

// UnmarshalJSON reads a JSON string, so that an answer can be read into a value directly.
func (v *Value) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New("a secret must be a JSON string") // and never what stands there
	}
	*v = FromString(s)
	return nil
}

// UnmarshalText copies text.
func (v *Value) UnmarshalText(text []byte) error {
	*v = copied(text)
	return nil
}
