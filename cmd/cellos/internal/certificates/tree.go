package certificates

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// A Tree is the files of an image, which somebody else made: its links are followed among its own names only, and what they lead to is looked at
// before a certificate is added to it.
type Tree struct {
	Files fs.FS
	Ref   string // as messages show the image
	List  string // where its variables say that certificates are (SSL_CERT_FILE); "" if they do not
	Close func() error
}

// maxLinks bounds the links that are followed for one path, as the kernel does.
const maxLinks = 40

// named is the list that the image's own variables name; nil if there is none. A cell's variables name another one, which is to begin with it.
func (t *Tree) named(a *authority.Authority) ([]byte, error) {
	if t == nil || !path.IsAbs(t.List) {
		return nil, nil
	}
	_, text, err := bundle(a, t, path.Clean(t.List))
	return text, err
}

// bundle finds a list of certificates at a path, as the path that no link leads to; "" if the cell sees none of the image there.
func (t *Tree) bundle(a *authority.Authority, name string) (at string, text []byte, err error) {
	fail := func(err error) (string, []byte, error) {
		return "", nil, fmt.Errorf("the image %s: %w", t.Ref, err)
	}
	at, err = t.real(a, name)
	if err != nil {
		return fail(err)
	}
	if path.Dir(at) == "/" || at == "" { // of the files at its top a cell sees none
		return "", nil, nil
	}
	fi, err := fs.Lstat(t.Files, at[1:])
	if err != nil {
		return fail(err)
	}
	if !fi.Mode().IsRegular() {
		return "", nil, nil
	}
	if fi.Size() > maxBundle {
		return fail(tooLong(at, fi.Size()))
	}
	f, err := t.Files.Open(at[1:])
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	if text, err = io.ReadAll(io.LimitReader(f, maxBundle)); err != nil {
		return fail(err)
	}
	if len(text) > 0 && !bytes.Contains(text, []byte("-----BEGIN ")) {
		return "", nil, nil // it is something else, and stays as it is
	}
	return at, text, nil
}

// real follows the links of a path as the cell's programs will; "" if that ends nowhere, or where the cell sees something else than the image.
func (t *Tree) real(a *authority.Authority, name string) (at string, err error) {
	links := 0
	for todo := strings.Split(name, "/"); len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = strings.TrimSuffix(path.Dir("/"+at), "/")
			continue
		}
		next := at + "/" + part
		if !plan.OfImage(next) || granted(a.Files, next) || authority.Below(next, a.Work.Path) {
			return "", nil
		}
		fi, err := fs.Lstat(t.Files, next[1:])
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		switch {
		case fi.Mode().Type() == fs.ModeSymlink:
			to, err := fs.ReadLink(t.Files, next[1:])
			if err != nil {
				return "", err
			}
			if links++; links > maxLinks {
				return "", nil
			}
			if path.IsAbs(to) {
				at = ""
			}
			todo = append(strings.Split(to, "/"), todo...)
		case len(todo) > 0 && !fi.IsDir():
			return "", nil
		default:
			at = next
		}
	}
	return at, nil
}

// vacant reports whether nothing is at a path, and no link on the way to it: the guest can put a file there.
func (t *Tree) vacant(a *authority.Authority, name string) bool {
	for at := name; at != "/"; at = path.Dir(at) {
		fi, err := fs.Lstat(t.Files, at[1:])
		switch {
		case authority.Below(at, a.Work.Path):
			return false
		case errors.Is(err, fs.ErrNotExist):
		case err != nil, at == name, !fi.IsDir():
			return false
		}
	}
	return true
}
