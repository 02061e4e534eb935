// Package oci makes file systems of OCI images.
//
//	root, err := oci.Add(ctx, store, "oci:/srv/layout@sha256:…", "amd64")
//
// An image comes from a folder or an archive on this machine, or from a registry. Everything is compared with digests: the manifest with
// the one that is asked for, the configuration with the manifest, the layers with the configuration. The layers are put on top of each
// other in memory, so that no name of an image is ever looked up on this machine.
package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"cellos.io/cellos/image"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// maxLayers bounds how many layers an image has. Unpacking programs stop at 127.
const maxLayers = 256

// Add converts an image for an architecture, unless the store has it.
func Add(ctx context.Context, s *image.Store, ref, arch string) (image.Root, error) {
	r, err := image.ParseRef(ref)
	if err != nil {
		return image.Root{}, err
	}
	from := r.Name
	if r.Kind == "oci-archive" {
		if from, err = unpackLayout(r.Name); err != nil {
			return image.Root{}, fmt.Errorf("reading the image %s: %w", ref, err)
		}
		defer os.RemoveAll(from)
	}
	img, shown, pin, err := open(ctx, r, from, arch)
	if err != nil {
		return image.Root{}, fmt.Errorf("reading the image %s: %w", ref, err)
	}
	root := image.Root{Ref: shown, Digest: pin, Arch: arch}
	if root.Manifest, err = checkedManifest(img); err != nil {
		return image.Root{}, fmt.Errorf("reading the image %s: %w", ref, err)
	}
	if known, err := s.Root(root.Digest, arch); err == nil {
		known.Ref = shown // the same image may have come from elsewhere
		return known, nil
	}
	config, err := checkedConfig(img)
	if err != nil {
		return image.Root{}, fmt.Errorf("reading the image %s: %w", ref, err)
	}
	if config.OS != "linux" && config.OS != "" || config.Architecture != arch {
		return image.Root{}, fmt.Errorf("the image %s is for %.20s/%.20s; needed is linux/%s", ref, config.OS, config.Architecture, arch)
	}
	root.Env = config.Config.Env
	spool, err := s.Spool()
	if err != nil {
		return image.Root{}, err
	}
	defer spool.Close()
	t := newTree(spool, spool, image.MaxSize)
	if err := unpack(ctx, t, img, config.RootFS.DiffIDs); err != nil {
		return image.Root{}, fmt.Errorf("unpacking the image %s: %w", ref, err)
	}
	return s.AddRoot(ctx, root, t)
}

// open finds the image for an architecture. It returns its name as messages show it, and the digest that stands for it: the one that was
// asked for, else the manifest's. From is the folder or file.
func open(ctx context.Context, r image.Ref, from, arch string) (img v1.Image, shown, pin string, err error) {
	platform := v1.Platform{OS: "linux", Architecture: arch}
	var index v1.ImageIndex
	switch r.Kind {
	case "oci", "oci-archive":
		index, err = layout.ImageIndexFromPath(from)
	case "docker-archive":
		img, err = tarball.ImageFromPath(from, nil)
	default:
		return fromRegistry(ctx, r, platform)
	}
	if err != nil {
		return nil, "", "", err
	}
	if index != nil {
		if img, err = choose(index, r.Digest, platform, 0); err != nil {
			return nil, "", "", err
		}
	}
	d, err := img.Digest()
	if err != nil {
		return nil, "", "", err
	}
	pin = d.String()
	if r.Digest != "" && r.Kind == "docker-archive" && r.Digest != pin {
		return nil, "", "", fmt.Errorf("its digest is %s, not %s", pin, r.Digest)
	}
	if r.Digest != "" {
		pin = r.Digest
	}
	return img, r.Kind + ":" + r.Name + "@" + pin, pin, nil
}

func fromRegistry(ctx context.Context, r image.Ref, platform v1.Platform) (v1.Image, string, string, error) {
	text := r.Name
	if r.Digest != "" {
		text += "@" + r.Digest
	}
	ref, err := name.ParseReference(text)
	if err != nil {
		return nil, "", "", err
	}
	got, err := remote.Get(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platform))
	if err != nil {
		return nil, "", "", err
	}
	img, err := got.Image()
	if err != nil {
		return nil, "", "", err
	}
	pin := got.Digest.String()
	return img, ref.Context().Name() + "@" + pin, pin, nil
}

// choose finds the image with a digest, or the only one, for a platform. What an index refers to is read once more through its digest.
func choose(index v1.ImageIndex, digest string, platform v1.Platform, depth int) (v1.Image, error) {
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if depth > 4 {
		return nil, errors.New("indexes in indexes in indexes")
	}
	fits := func(d v1.Descriptor) bool {
		return d.Platform == nil || d.Platform.Architecture == "" || d.Platform.Satisfies(platform)
	}
	var found []v1.Descriptor
	for _, d := range m.Manifests {
		if digest == "" && fits(d) || d.Digest.String() == digest {
			found = append(found, d)
		}
	}
	if len(found) == 0 && digest != "" { // in one of the indexes
		for _, d := range m.Manifests {
			if d.MediaType.IsIndex() {
				inner, err := index.ImageIndex(d.Digest)
				if err != nil {
					return nil, err
				}
				if img, err := choose(inner, digest, platform, depth+1); err == nil {
					return img, nil
				}
			}
		}
	}
	switch {
	case len(found) == 0 && digest != "":
		return nil, fmt.Errorf("it has no %s", digest)
	case len(found) == 0:
		return nil, fmt.Errorf("it has nothing for %s/%s", platform.OS, platform.Architecture)
	case len(found) > 1 && depth == 0 && digest == "":
		return nil, fmt.Errorf("it has %d images; name one by its digest (%s@sha256:…)", len(found), "oci:DIR")
	}
	d := found[0]
	if !d.MediaType.IsIndex() {
		return index.Image(d.Digest)
	}
	inner, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, err
	}
	raw, err := inner.RawManifest()
	if err != nil {
		return nil, err
	}
	if got := digestOf(raw); got != d.Digest.String() {
		return nil, fmt.Errorf("the index %s has the digest %s", d.Digest, got)
	}
	return choose(inner, "", platform, depth+1)
}

func digestOf(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}

// checkedManifest is the digest of the manifest's bytes, which has to be what it is called.
func checkedManifest(img v1.Image) (string, error) {
	d, err := img.Digest()
	if err != nil {
		return "", err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return "", err
	}
	if got := digestOf(raw); got != d.String() {
		return "", fmt.Errorf("the manifest %s has the digest %s", d, got)
	}
	return d.String(), nil
}

// checkedConfig reads the configuration, which has to be the one that the manifest names.
func checkedConfig(img v1.Image) (*v1.ConfigFile, error) {
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if got := digestOf(raw); got != m.Config.Digest.String() {
		return nil, fmt.Errorf("the configuration %s has the digest %s", m.Config.Digest, got)
	}
	return v1.ParseConfigFile(bytes.NewReader(raw))
}

// unpack applies the layers, each of which has to be the one that the configuration names.
func unpack(ctx context.Context, t *tree, img v1.Image, diffs []v1.Hash) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	if len(layers) != len(diffs) || len(layers) > maxLayers {
		return fmt.Errorf("%d layers, of which the configuration names %d; at most %d are taken", len(layers), len(diffs), maxLayers)
	}
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		h := sha256.New()
		in := io.TeeReader(stopped{ctx, r}, h)
		err = t.apply(in, i)
		if err == nil {
			_, err = io.Copy(io.Discard, in) // what is behind the end of the archive
		}
		r.Close()
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); got != diffs[i].String() {
			return fmt.Errorf("layer %d has the digest %s, not %s", i, got, diffs[i])
		}
	}
	return nil
}

type stopped struct {
	ctx context.Context
	r   io.Reader
}

func (s stopped) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(b)
}
