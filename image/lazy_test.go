package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	erofs "github.com/erofs/go-erofs"
)

// The names of a view, and the files behind it as its device, are the tree.
func TestView(t *testing.T) {
	s, dir := store(t), grant(t)
	ctx := context.Background()
	w := Want{Path: dir, Owner: me()}
	v, err := s.View(ctx, w)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if v.Size > 1<<20 || !v.Made {
		t.Errorf("names of %d bytes", v.Size)
	}
	fsys, err := erofs.Open(v.Descriptor(), erofs.WithExtraDevices(v))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "hard", "sub/b", "empty", "holes"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != string(want) {
			t.Errorf("%s has %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
	again, err := s.View(ctx, w)
	if err != nil || again.Made {
		t.Errorf("made again: %v, %v", again.Made, err)
	}
	again.Close()

	// Of a file that changed nothing is shown, and the view is made anew the next time.
	if err := os.WriteFile(filepath.Join(dir, "sub/b"), []byte(strings.Repeat("BETA", 5000)), 0o644); err != nil {
		t.Fatal(err)
	}
	var changed *Changed
	if got, err := fs.ReadFile(fsys, "sub/b"); !errors.As(err, &changed) {
		t.Errorf("a changed file reads as %.20q, %v", got, err)
	}
	third, err := s.View(ctx, w)
	if err != nil || !third.Made {
		t.Errorf("not made anew: %v", err)
	}
	third.Close()
	// Damage of the index is seen.
	if err := s.Verify(ctx, Listed{Digest: v.index.Digest, Kind: "index"}); err != nil {
		t.Error(err)
	}
}
