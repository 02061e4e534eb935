//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/image"
)

const ImageUsage = `usage: cellos image list [--json]
       cellos image build PATH | IMAGE
       cellos image verify [DIGEST]
       cellos image gc [--all]

The images that virtual machines boot from, in CELLOS_IMAGES. All of them can be made again.

  list      their digests, sizes, and the trees that they were made of
  build     make the image of a file or folder now, so that the first run need not; prints its digest. Or get an OCI image, and print
            the name by which --image finds it: oci:DIR, oci-archive:FILE, docker-archive:FILE, or docker://NAME of a registry
  verify    read every image, or one, and compare it with its digest
  gc        remove the images of trees that have changed or are gone; with --all every one that no machine uses, and OCI images
`

// Image is the command image.
func Image(args []string, env cli.Environment, ui *cli.Console) error {
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	all := set.Bool("all", false, "")
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	rest, _, err := cli.Parse(set, args)
	switch {
	case errors.Is(err, flag.ErrHelp), verb == "--help":
		_, err := io.WriteString(env.Out, ImageUsage)
		return err
	case err != nil:
		return cli.NewMistake(err.Error(), "cellos help image").At("image")
	case verb == "build" && len(rest) != 1, verb == "verify" && len(rest) > 1, (verb == "list" || verb == "gc") && len(rest) > 0,
		*asJSON && verb != "list", *all && verb != "gc":
		return cli.NewMistake("too many or too few arguments for image "+verb, "cellos help image").At("image")
	}
	dir, err := imageDir(env)
	if err != nil {
		return cli.Refusal(err)
	}
	s, err := image.Open(dir)
	if err != nil {
		return cli.Refusal(err)
	}
	switch verb {
	case "list":
		return listImages(s, env, *asJSON)
	case "build":
		if isImageRef(rest[0]) {
			return getImage(s, env, rest[0])
		}
		return buildImage(s, env, rest[0])
	case "verify":
		return verifyImages(s, env, strings.Join(rest, ""))
	case "gc":
		gone, freed, err := s.Collect(*all)
		if err != nil {
			return cli.Refusal(err)
		}
		_, err = fmt.Fprintf(env.Out, "removed %d images, %d MiB\n", len(gone), freed>>20)
		return err
	}
	return cli.NewMistake("unknown command image "+cli.Quote(verb), "list, build, verify or gc").At("image")
}

func listImages(s *image.Store, env cli.Environment, asJSON bool) error {
	list, err := s.List()
	if err != nil {
		return cli.Refusal(err)
	}
	if asJSON {
		return cli.WriteJSON(env.Out, list)
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%d KiB\t%s\n", l.Digest, l.Kind, l.Disk>>10, cli.OneLine(strings.Join(l.Trees, " ")))
	}
	return w.Flush()
}

// isImageRef reports whether an argument names an OCI image, and no path.
func isImageRef(s string) bool {
	return slices.ContainsFunc([]string{"oci:", "oci-archive:", "docker-archive:", "docker://"}, func(p string) bool { return strings.HasPrefix(s, p) })
}

// getImage gets an OCI image into the store.
func getImage(s *image.Store, env cli.Environment, arg string) error {
	ref, err := image.ParseRef(arg)
	if err != nil {
		return cli.NewMistake(err.Error(), "cellos help image").At("image")
	}
	r, err := addImage(context.Background(), s, ref)
	if err != nil {
		return cli.Refusal(err)
	}
	_, err = fmt.Fprintln(env.Out, r.Ref)
	return err
}

// buildImage makes the image that a run of this user would make.
func buildImage(s *image.Store, env cli.Environment, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return cli.Refusal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return cli.Refusal(err)
	}
	owner, err := image.OwnerFor(path, uint32(os.Geteuid()), uint32(os.Getegid()))
	if err != nil {
		return cli.Refusal(err)
	}
	img, err := s.Tree(context.Background(), image.Want{Path: path, Owner: owner, Exclude: append(cli.Private(env), s.Dir())})
	if err != nil {
		return cli.Refusal(err)
	}
	defer img.Close()
	_, err = fmt.Fprintln(env.Out, img.Digest)
	return err
}

func verifyImages(s *image.Store, env cli.Environment, digest string) error {
	list, err := s.List()
	if err != nil {
		return cli.Refusal(err)
	}
	f := cli.Failure{Code: 1}
	found := digest == ""
	for _, l := range list {
		if digest != "" && l.Digest != digest {
			continue
		}
		found = true
		if err := s.Verify(context.Background(), l); err != nil {
			f.Errs = append(f.Errs, err)
			continue
		}
		fmt.Fprintln(env.Out, l.Digest, "good")
	}
	if !found {
		return cli.Refusal(errors.New("no image " + cli.Quote(digest)))
	}
	if len(f.Errs) > 0 {
		return f
	}
	return nil
}
