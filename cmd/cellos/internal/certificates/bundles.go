package certificates

import (
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

// bundles are where programs look for certificates that everybody trusts, the first of them first (crypto/x509, root_linux.go; openssl-env(7)).
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem", "/usr/lib/ssl/cert.pem", "/usr/share/ssl/certs/ca-bundle.crt",
}

// maxBundle bounds a bundle, in bytes. That of a distribution has 220 KiB.
const maxBundle = 16 << 20

func tooLong(name string, size int64) error {
	return fmt.Errorf("%s has %d bytes; at most %d are added to", name, size, maxBundle)
}

// vacant reports whether nothing is shown where the usual bundle would be, so that a file can be put there.
func vacant(a *authority.Authority, tree *Tree) bool {
	if granted(a.Files, bundles[0]) {
		return false
	}
	if tree != nil {
		return tree.vacant(a, bundles[0])
	}
	_, err := os.Lstat("/etc/ssl")
	return errors.Is(err, fs.ErrNotExist)
}

// granted reports whether a path lies in what is shown by a grant.
func granted(grants []authority.Grant, name string) bool {
	return slices.ContainsFunc(grants, func(g authority.Grant) bool { return g.At != "" && authority.Below(name, g.At) })
}

// bundle finds what a cell sees at a path, as the path that no link leads to; "" if it sees no file there. What is granted hides what the image
// has there.
func bundle(a *authority.Authority, tree *Tree, name string) (at string, text []byte, err error) {
	if tree != nil && !granted(a.Files, name) {
		return tree.bundle(a, name)
	}
	return ofHost(a.Files, name)
}

// ofHost finds it among the files of the host.
func ofHost(grants []authority.Grant, name string) (at string, text []byte, err error) {
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
		return "", nil, tooLong(real, info.Size())
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
