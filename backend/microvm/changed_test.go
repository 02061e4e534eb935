//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/cell"
)

// What boots is the file that was checked: one that is written to, or changed in any way that its change time tells, before the command is released
// ends the machine.
func TestChangedWhileStarting(t *testing.T) {
	for _, what := range []string{"kernel", "image"} {
		b := fakeBackend(t, "runs")
		c, err := b.Build(context.Background(), fakePlan(t, b), cell.Streams{})
		if err != nil {
			t.Fatal(err)
		}
		path := b.Kernel.Path
		if what == "image" {
			list, err := filepath.Glob(filepath.Join(b.Store.Dir(), "*.initrd"))
			if err != nil || len(list) != 1 {
				t.Fatalf("%v, %v", list, err)
			}
			path = list[0]
		}
		if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte("y"), 0o600)); err != nil {
			t.Fatal(err)
		}
		var end *microvm.EndError
		if _, err := c.Measure(context.Background()); !errors.As(err, &end) || end.Reason != "changed" {
			t.Errorf("the %s was written to: %v", what, err)
		}
		if res := c.Destroy(); !res.Clean() {
			t.Errorf("left: %+v", res)
		}
	}
}
