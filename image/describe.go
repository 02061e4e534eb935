package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cellos.io/cellos/plan"
)

// maxAccounts bounds what is read of an image's lists of accounts, in bytes.
const maxAccounts = 1 << 20

// Describe looks at the file tree of a Root for a plan: at its top, and at paths.
func (s *Store) Describe(r Root, paths []string) (*plan.Root, error) {
	img, err := s.Image(r.Image)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	fsys, err := img.FS()
	if err != nil {
		return nil, fmt.Errorf("reading the image %s: %w", r.Ref, err)
	}
	d := &plan.Root{Ref: r.Ref, Image: r.Image, Entries: map[string]plan.Entry{}}
	top, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the image %s: %w", r.Ref, err)
	}
	for _, e := range top {
		paths = append(paths, "/"+e.Name())
	}
	for _, p := range paths {
		e, err := look(fsys, p)
		if err != nil {
			return nil, fmt.Errorf("reading the image %s: %s: %w", r.Ref, p, err)
		}
		if e.Kind != plan.Missing {
			d.Entries[p] = e
		}
	}
	if d.Passwd, err = accounts(fsys, "etc/passwd"); err == nil {
		d.Group, err = accounts(fsys, "etc/group")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image %s: %w", r.Ref, err)
	}
	return d, nil
}

// look looks at one path, and follows no link: below one nothing is there.
func look(fsys fs.FS, p string) (plan.Entry, error) {
	fi, err := fs.Lstat(fsys, strings.TrimPrefix(path.Clean(p), "/"))
	if errors.Is(err, fs.ErrNotExist) || err != nil && path.Dir(p) != "/" {
		return plan.Entry{}, nil // or it is behind something that is no folder, which is told by that
	}
	if err != nil {
		return plan.Entry{}, err
	}
	e := plan.Entry{Kind: plan.Other, Mode: uint32(fi.Mode().Perm()), Real: p}
	switch fi.Mode().Type() {
	case 0:
		e.Kind = plan.Regular
	case fs.ModeDir:
		e.Kind = plan.Directory
	case fs.ModeSymlink:
		e.Kind, e.Real = plan.Symlink, ""
		e.Target, err = fs.ReadLink(fsys, strings.TrimPrefix(p, "/"))
	}
	return e, err
}

// accounts reads a list of accounts; one that is missing, or is no file, is empty.
func accounts(fsys fs.FS, name string) (string, error) {
	fi, err := fs.Lstat(fsys, name)
	if err != nil || !fi.Mode().IsRegular() {
		return "", nil
	}
	if fi.Size() > maxAccounts {
		return "", fmt.Errorf("%s has %d bytes; at most %d are taken", name, fi.Size(), maxAccounts)
	}
	b, err := fs.ReadFile(fsys, name)
	return string(b), err
}
