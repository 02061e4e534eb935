//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/certificates"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// An imageRoot looks up the image that a document asks for, once: what a run does with it, it does with the same one.
type imageRoot struct {
	store *image.Store
	of    *authority.Image
	root  image.Root
}

// find returns the image. It has to be pinned by a digest, unless it is the only one of a folder or file on this machine; one of a registry has to
// be in the store already, so that no run waits for a network or gets what it did not name.
func (i *imageRoot) find(ctx context.Context, a *authority.Authority) (image.Root, error) {
	if i.of == a.Image {
		return i.root, nil
	}
	bad := func(err error, hint string) (image.Root, error) {
		return image.Root{}, cli.NewMistake(a.Image.From+": "+err.Error(), hint)
	}
	ref, err := image.ParseRef(a.Image.Ref)
	if err != nil {
		return bad(err, "--image oci:DIR, oci-archive:FILE, docker-archive:FILE or NAME@sha256:HEX")
	}
	if pin := a.Image.Digest; pin != "" {
		if ref.Digest != "" && ref.Digest != pin {
			return bad(errors.New("the reference names "+ref.Digest+", the digest is "+pin), "leave one of them out")
		}
		ref.Digest = pin
	}
	r, err := i.store.Root(ref.Pinned(), runtime.GOARCH)
	switch {
	case err == nil:
	case ref.Kind == "" && ref.Digest == "":
		return bad(errors.New("the image "+cli.Quote(a.Image.Ref)+" is not pinned by a digest"), "cellos image build docker://"+cli.OneLine(ref.Name)+" gets it, and prints the name with its digest")
	case ref.Kind == "":
		return bad(errors.New("the image "+cli.Quote(a.Image.Ref)+" is not here"), "cellos image build docker://"+cli.OneLine(ref.Name)+"@"+ref.Digest+" gets it")
	default:
		if r, err = addImage(ctx, i.store, ref); err != nil {
			return bad(err, "")
		}
	}
	i.of, i.root = a.Image, r
	return r, nil
}

// plan describes the image for a plan, and has the command find its variables.
func (i *imageRoot) plan(ctx context.Context, a *authority.Authority) (*plan.Root, error) {
	r, err := i.find(ctx, a)
	if err != nil {
		return nil, err
	}
	environmentOfImage(a, r.Env)
	return i.store.Describe(r, plan.RootPaths(a))
}

// tree opens the files of the image.
func (i *imageRoot) tree(a *authority.Authority) (*certificates.Tree, error) {
	ctx, stop := signalled()
	defer stop()
	r, err := i.find(ctx, a)
	if err != nil {
		return nil, err
	}
	img, err := i.store.Image(r.Image)
	if err != nil {
		return nil, err
	}
	t := &certificates.Tree{Ref: r.Ref, Close: img.Close}
	if t.Files, err = img.FS(); err != nil {
		img.Close()
		return nil, fmt.Errorf("reading the image %s: %w", r.Ref, err)
	}
	for _, v := range r.Env {
		if file, ok := strings.CutPrefix(v, "SSL_CERT_FILE="); ok {
			t.List = file
		}
	}
	return t, nil
}

// addImage has an image converted by the program beside this one.
func addImage(ctx context.Context, s *image.Store, ref image.Ref) (r image.Root, err error) {
	program, err := cli.Besides("cellos-image", "reading an OCI image", "")
	if err != nil {
		return r, err
	}
	return r, imageProgram(ctx, program, s, &r, "oci", ref.String())
}

// environmentOfImage adds the variables that an image's programs expect to those that the document sets; PATH counts as set where it is
// not the one that every cell has.
func environmentOfImage(a *authority.Authority, env []string) {
	vars := slices.Clone(a.Command.Env)
	for _, v := range env {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" || strings.ContainsRune(v, 0) {
			continue
		}
		i := slices.IndexFunc(vars, func(x authority.Variable) bool { return x.Name == name })
		switch {
		case i < 0:
			vars = append(vars, authority.Variable{Name: name, Value: value})
		case name == "PATH" && vars[i].Value == authority.Path:
			vars[i].Value = value
		}
	}
	slices.SortStableFunc(vars, func(x, y authority.Variable) int { return strings.Compare(x.Name, y.Name) })
	a.Command.Env = vars
}
