//go:build !linux

package host

import (
	"errors"

	"cellos.io/cellos/plan"
)

// Describe fails: cells are a matter of Linux.
func Describe([]string, ...string) (plan.Host, error) {
	return plan.Host{}, errors.New("describing the host: cells need Linux")
}
