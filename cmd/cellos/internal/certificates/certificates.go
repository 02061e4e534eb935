// Package certificates makes the files by which the programs of one cell trust the authority of its gate: what the cell would see of the host's
// certificates, or of its image's, with one more. The files themselves are not touched.
//
//	f, err := certificates.Make(temp, auth, nil)   // empty files, and grants of them
//	err = f.Write(der)                 // when the gate has made its authority, before the cell is built
//	err = certificates.Remove(f.Path)
package certificates

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// FolderPattern begins the name of the folder of a run's certificates.
const FolderPattern = "cellos-ca-"

// A Folder has the certificates of one run.
type Folder struct {
	Path  string
	files map[string][]byte // by path: what the host has, or the image
}

// Make makes the files of an authority that has secrets put into requests, and adds the grants of them; nil if it has none. Tree is what its image has;
// without it, nothing is made for an authority with an image.
func Make(temp string, a *authority.Authority, tree *Tree) (*Folder, error) {
	if len(authority.Opened(a.Network)) == 0 || a.OnHost || (a.Image != nil) != (tree != nil) {
		return nil, nil
	}
	dir, err := os.MkdirTemp(temp, FolderPattern)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("making the folder of the cell's certificates: %w", err)
	}
	f := &Folder{Path: dir, files: map[string][]byte{}}
	if err := f.fill(a, tree); err != nil {
		Remove(dir)
		return nil, fmt.Errorf("making the cell's certificates: %w", err)
	}
	return f, nil
}

func (f *Folder) fill(a *authority.Authority, tree *Tree) error {
	// Everybody may read them, as everywhere: the cell's user is another one.
	own := filepath.Join(f.Path, "own")
	if err := errors.Join(os.Mkdir(own, 0o755), os.Chmod(own, 0o755), os.Chmod(f.Path, 0o755)); err != nil {
		return err
	}
	grants := []authority.Grant{plan.TrustGrant(own, authority.TrustAt)}
	f.files[filepath.Join(own, authority.TrustOwn)] = nil
	seen := map[string]bool{}
	first, err := tree.named(a)
	if err != nil {
		return err
	}
	for _, name := range bundles {
		at, text, err := bundle(a, tree, name)
		if err != nil {
			return err
		}
		if at == "" || seen[at] {
			continue
		}
		seen[at] = true
		if first == nil {
			first = text
		}
		file := filepath.Join(f.Path, fmt.Sprintf("bundle-%d.crt", len(seen)))
		f.files[file] = text
		grants = append(grants, plan.TrustGrant(file, at))
	}
	if len(seen) == 0 && vacant(a, tree) {
		file := filepath.Join(f.Path, "bundle-1.crt")
		f.files[file] = nil
		grants = append(grants, plan.TrustGrant(file, bundles[0]))
	}
	f.files[filepath.Join(own, authority.TrustAll)] = first
	for name := range f.files {
		if err := write(name, nil); err != nil {
			return err
		}
	}
	a.Files = append(a.Files, grants...)
	return nil
}

// Write adds the authority's certificate, in DER, to each of the files.
func (f *Folder) Write(der []byte) error {
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range f.files {
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(slices.Clip(text), '\n')
		}
		if err := write(name, append(slices.Clip(text), cert...)); err != nil {
			return fmt.Errorf("writing the cell's certificates: %w", err)
		}
	}
	return nil
}

func write(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}

// Remove removes the folder. That it is gone is no error.
func Remove(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the folder of the cell's certificates: %w", err)
	}
	return nil
}
