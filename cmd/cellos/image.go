//go:build linux && (amd64 || arm64)

package main

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

	"cellos.io/cellos/image"
)

const imageUsage = `usage: cellos image list [--json]
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

func imageCommand(args []string, env environment, ui *console) error {
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "")
	all := set.Bool("all", false, "")
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	rest, _, err := parse(set, args)
	switch {
	case errors.Is(err, flag.ErrHelp), verb == "--help":
		_, err := io.WriteString(env.out, imageUsage)
		return err
	case err != nil:
		return mistake{err.Error(), "cellos help image"}.at("image")
	case verb == "build" && len(rest) != 1, verb == "verify" && len(rest) > 1, (verb == "list" || verb == "gc") && len(rest) > 0,
		*asJSON && verb != "list", *all && verb != "gc":
		return mistake{"too many or too few arguments for image " + verb, "cellos help image"}.at("image")
	}
	dir, err := imageDir(env)
	if err != nil {
		return refusal(err)
	}
	s, err := image.Open(dir)
	if err != nil {
		return refusal(err)
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
			return refusal(err)
		}
		_, err = fmt.Fprintf(env.out, "removed %d images, %d MiB\n", len(gone), freed>>20)
		return err
	}
	return mistake{"unknown command image " + quote(verb), "list, build, verify or gc"}.at("image")
}

func listImages(s *image.Store, env environment, asJSON bool) error {
	list, err := s.List()
	if err != nil {
		return refusal(err)
	}
	if asJSON {
		return writeJSON(env.out, list)
	}
	w := tabwriter.NewWriter(env.out, 0, 0, 2, ' ', 0)
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%d KiB\t%s\n", l.Digest, l.Kind, l.Disk>>10, oneLine(strings.Join(l.Trees, " ")))
	}
	return w.Flush()
}

// isImageRef reports whether an argument names an OCI image, and no path.
func isImageRef(s string) bool {
	return slices.ContainsFunc([]string{"oci:", "oci-archive:", "docker-archive:", "docker://"}, func(p string) bool { return strings.HasPrefix(s, p) })
}

// getImage gets an OCI image into the store.
func getImage(s *image.Store, env environment, arg string) error {
	ref, err := image.ParseRef(arg)
	if err != nil {
		return mistake{err.Error(), "cellos help image"}.at("image")
	}
	r, err := addImage(context.Background(), s, ref)
	if err != nil {
		return refusal(err)
	}
	_, err = fmt.Fprintln(env.out, r.Ref)
	return err
}

// buildImage makes the image that a run of this user would make.
func buildImage(s *image.Store, env environment, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return refusal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return refusal(err)
	}
	owner, err := image.OwnerFor(path, uint32(os.Geteuid()), uint32(os.Getegid()))
	if err != nil {
		return refusal(err)
	}
	img, err := s.Tree(context.Background(), image.Want{Path: path, Owner: owner, Exclude: append(private(env), s.Dir())})
	if err != nil {
		return refusal(err)
	}
	defer img.Close()
	_, err = fmt.Fprintln(env.out, img.Digest)
	return err
}

func verifyImages(s *image.Store, env environment, digest string) error {
	list, err := s.List()
	if err != nil {
		return refusal(err)
	}
	f := failure{code: 1}
	found := digest == ""
	for _, l := range list {
		if digest != "" && l.Digest != digest {
			continue
		}
		found = true
		if err := s.Verify(context.Background(), l); err != nil {
			f.errs = append(f.errs, err)
			continue
		}
		fmt.Fprintln(env.out, l.Digest, "good")
	}
	if !found {
		return refusal(errors.New("no image " + quote(digest)))
	}
	if len(f.errs) > 0 {
		return f
	}
	return nil
}
