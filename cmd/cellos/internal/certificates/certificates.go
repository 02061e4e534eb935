// Package certificates makes the files by which the programs of one cell trust the authority of its gate: what the cell would see of the host's
// certificates, with one more. The host's own files are not touched.
//
//	f, err := certificates.Make(temp, auth)   // empty files, and grants of them
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
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/plan"
)

// FolderPattern begins the name of the folder of a run's certificates.
const FolderPattern = "cellos-ca-"

// bundles are where programs look for certificates that everybody trusts, the first of them first (crypto/x509, root_linux.go; openssl-env(7)).
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem", "/usr/share/ssl/certs/ca-bundle.crt",
}

// maxBundle bounds a bundle, in bytes. That of a distribution has 220 KiB.
const maxBundle = 16 << 20

// A Folder has the certificates of one run.
type Folder struct {
	Path  string
	files map[string][]byte // by path: what the host has
}

// Make makes the files of an authority that has secrets put into requests, and adds the grants of them; nil if it has none.
func Make(temp string, a *authority.Authority) (*Folder, error) {
	if len(authority.Opened(a.Network)) == 0 || a.OnHost || a.Image != nil {
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
	if err := f.fill(a); err != nil {
		Remove(dir)
		return nil, fmt.Errorf("making the cell's certificates: %w", err)
	}
	return f, nil
}

func (f *Folder) fill(a *authority.Authority) error {
	// Everybody may read them, as everywhere: the cell's user is another one.
	own := filepath.Join(f.Path, "own")
	if err := errors.Join(os.Mkdir(own, 0o755), os.Chmod(own, 0o755), os.Chmod(f.Path, 0o755)); err != nil {
		return err
	}
	grants := []authority.Grant{plan.TrustGrant(own, authority.TrustAt)}
	f.files[filepath.Join(own, authority.TrustOwn)] = nil
	seen := map[string]bool{}
	var first []byte
	for _, name := range bundles {
		at, text, err := bundle(a.Files, name)
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
	if len(seen) == 0 && !hasEtcSSL(a.Files) {
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

// hasEtcSSL reports whether something is shown where the usual bundle would be: then no file can be put there.
func hasEtcSSL(grants []authority.Grant) bool {
	_, err := os.Lstat("/etc/ssl")
	return !errors.Is(err, fs.ErrNotExist) || slices.ContainsFunc(grants, func(g authority.Grant) bool { return authority.Below(bundles[0], g.At) })
}

// bundle finds what a cell with these grants sees at a path, as the path that no link leads to; "" if it sees no file there.
func bundle(grants []authority.Grant, name string) (at string, text []byte, err error) {
	host, from, to := name, "", ""
	for _, g := range grants {
		if authority.Below(name, g.At) && len(g.At) >= len(to) && g.At != "" {
			from, to = g.Host, g.At
			host = path.Join(g.Host, name[len(g.At):])
		}
	}
	real, err := filepath.EvalSymlinks(host)
	if err != nil {
		return "", nil, nil
	}
	switch {
	case to != "" && !authority.Below(real, from), to == "" && !shown(real):
		return "", nil, nil // the link leads out of what the cell sees
	case to != "":
		at = path.Join(to, real[len(from):])
	default:
		at = real
	}
	info, err := os.Stat(real)
	if err != nil || !info.Mode().IsRegular() {
		return "", nil, nil
	}
	if info.Size() > maxBundle {
		return "", nil, fmt.Errorf("%s has %d bytes; at most %d are added to", real, info.Size(), maxBundle)
	}
	text, err = os.ReadFile(real)
	return at, text, err
}

// shown reports whether every cell sees a path of the host.
func shown(name string) bool {
	if rest, ok := strings.CutPrefix(name, "/etc/"); ok {
		first, _, _ := strings.Cut(rest, "/")
		return plan.EtcWanted(first)
	}
	return slices.ContainsFunc(plan.SystemPaths(), func(d string) bool { return authority.Below(name, d) })
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
