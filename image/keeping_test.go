package image

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whoever else could write to a store would choose what guests run.
func TestStoreOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a store that everybody can write to was opened")
	}
}

// List, Verify and Collect keep the store; what a machine uses stays.
func TestKeeping(t *testing.T) {
	s, dir := store(t), grant(t)
	ctx := context.Background()
	img, err := s.Tree(ctx, Want{Path: dir, Owner: me()})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.List()
	if err != nil || len(list) != 1 || list[0].Trees[0] != dir {
		t.Fatalf("the list is %+v, %v", list, err)
	}
	if err := s.Verify(ctx, list[0]); err != nil {
		t.Error(err)
	}
	if gone, _, err := s.Collect(true); err != nil || len(gone) != 0 {
		t.Errorf("an image in use was removed: %v, %v", gone, err)
	}
	img.Close()
	if gone, _, err := s.Collect(false); err != nil || len(gone) != 0 {
		t.Errorf("the image of a tree that is there was removed: %v, %v", gone, err)
	}
	if err := os.Chmod(img.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(img.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 2000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := s.Verify(ctx, list[0]); err == nil {
		t.Error("a changed image passed")
	}
	if err := os.WriteFile(filepath.Join(s.dir, "new-0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(s.dir, "new-0"), old, old); err != nil {
		t.Fatal(err)
	}
	if gone, freed, err := s.Collect(true); err != nil || len(gone) != 1 || freed == 0 {
		t.Errorf("removed %v, %d bytes, %v", gone, freed, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*s")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
