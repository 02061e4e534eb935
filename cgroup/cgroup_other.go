//go:build !linux

package cgroup

import (
	"errors"

	"cellos.io/cellos/plan"
)

// Look fails: control groups are a matter of Linux.
func Look(string) (plan.Cgroups, error) {
	return plan.Cgroups{}, errors.New("looking for control groups: they need Linux")
}

// Clean fails where there is something to clean.
func Clean(paths []string) (bool, error) {
	return false, errors.New("removing control groups: they need Linux")
}
