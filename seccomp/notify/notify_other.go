//go:build !linux

package notify

import "errors"

// Listener is the supervisor's end of a filter with a listener; on this system there is none.
type Listener struct{}

// New refuses: seccomp is Linux's.
func New(int) (*Listener, error) { return nil, errors.ErrUnsupported }
