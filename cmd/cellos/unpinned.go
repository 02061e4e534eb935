//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"strings"

	"cellos.io/cellos/cmd/cellos/internal/backends"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/evidence"
	"cellos.io/cellos/supervisor"
)

// unpinned records the refusal of a run whose files are not those of the manifest, and returns the error.
func (a *asked) unpinned(x *backends.Booted, err error, runID *string, env cli.Environment, ui *cli.Console) error {
	if x == nil || x.Mismatch == nil {
		return err
	}
	role := x.Mismatch.Role
	if role == "vmm" {
		role = "firecracker"
	}
	id := evidence.NewID()
	if runID != nil {
		id = *runID
	}
	r := supervisor.Refusal{Document: a.doc, Bytes: a.data, RunID: id, Trust: a.trust(), Admitted: a.admitted(), Closing: evidence.ManifestFailed{
		Role: role, Expected: strings.TrimPrefix(x.Mismatch.Want, "sha256:"), Actual: strings.TrimPrefix(x.Mismatch.Got, "sha256:"), ManifestPath: x.Manifest}}
	return errors.Join(err, a.recordRefusal(r, env, ui))
}
