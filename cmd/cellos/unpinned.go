//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"strings"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/supervisor"
)

// unpinned records the refusal of a run whose files are not those of the manifest, and returns the error.
func (a *asked) unpinned(x *booted, err error, runID *string, env environment, ui *console) error {
	if x == nil || x.mismatch == nil {
		return err
	}
	role := x.mismatch.Role
	if role == "vmm" {
		role = "firecracker"
	}
	id := evidence.NewID()
	if runID != nil {
		id = *runID
	}
	r := supervisor.Refusal{Document: a.doc, Bytes: a.data, RunID: id, Trust: a.trust(), Admitted: a.admitted(), Closing: evidence.ManifestFailed{
		Role: role, Expected: strings.TrimPrefix(x.mismatch.Want, "sha256:"), Actual: strings.TrimPrefix(x.mismatch.Got, "sha256:"), ManifestPath: x.manifest}}
	return errors.Join(err, a.recordRefusal(r, env, ui))
}
