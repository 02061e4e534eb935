//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
)

// imageRoot is the image that a document asks for. It has to be pinned by a digest, unless it is the only one of a folder or file on this
// machine; one of a registry has to be in the store already, so that no run waits for a network or gets what it did not name.
func imageRoot(ctx context.Context, s *image.Store, a *authority.Authority) (*plan.Root, error) {
	ref, err := image.ParseRef(a.Image.Ref)
	if err != nil {
		return nil, cli.NewMistake(a.Image.From+": "+err.Error(), "--image oci:DIR, oci-archive:FILE, docker-archive:FILE or NAME@sha256:HEX")
	}
	if pin := a.Image.Digest; pin != "" {
		if ref.Digest != "" && ref.Digest != pin {
			return nil, cli.NewMistake(a.Image.From+": the reference names "+ref.Digest+", the digest is "+pin, "leave one of them out")
		}
		ref.Digest = pin
	}
	r, err := s.Root(ref.Pinned(), runtime.GOARCH)
	switch {
	case err == nil:
	case ref.Kind == "" && ref.Digest == "":
		return nil, cli.NewMistake(a.Image.From+": the image "+cli.Quote(a.Image.Ref)+" is not pinned by a digest", "cellos image build docker://"+cli.OneLine(ref.Name)+" gets it, and prints the name with its digest")
	case ref.Kind == "":
		return nil, cli.NewMistake(a.Image.From+": the image "+cli.Quote(a.Image.Ref)+" is not here", "cellos image build docker://"+cli.OneLine(ref.Name)+"@"+ref.Digest+" gets it")
	default:
		if r, err = addImage(ctx, s, ref); err != nil {
			return nil, cli.NewMistake(a.Image.From+": "+err.Error(), "")
		}
	}
	environmentOfImage(a, r.Env)
	return s.Describe(r, plan.RootPaths(a))
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
