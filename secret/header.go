package secret

import (
	"bytes"
	"errors"
	"fmt"
)

// MinHeader and MaxHeader bound a value that is put into a header, in bytes: shorter ones could not be told from other text in answers, and
// servers refuse longer fields.
const (
	MinHeader = 8
	MaxHeader = 8 << 10
)

// CheckHeader reports why a value cannot be put into a header. The error does not hold it.
func CheckHeader(value []byte) error {
	switch {
	case len(value) < MinHeader || len(value) > MaxHeader:
		return fmt.Errorf("it has %d bytes; one that is put into requests has %d to %d", len(value), MinHeader, MaxHeader)
	case bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("it has a line end or another character that is no visible ASCII, which no header can have")
	case len(bytes.TrimSpace(value)) != len(value):
		return errors.New("it begins or ends with a blank, which a header would lose")
	}
	return nil
}
