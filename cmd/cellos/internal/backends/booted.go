//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"errors"

	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/plan"
)

// Booted is what the event of a refusal says of a file that would boot, where a manifest pins another.
type Booted struct {
	Manifest string // path
	Mismatch *microvm.MismatchError
}

// check compares what would boot with the manifest.
func (x *Booted) check(ctx context.Context, b microvm.Backend, root *plan.Root) error {
	digest := ""
	if root != nil {
		digest = root.Image
	}
	err := b.Check(ctx, digest)
	errors.As(err, &x.Mismatch)
	return err
}
