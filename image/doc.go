// Package image makes and keeps what a virtual machine boots from: the initial file system, and read-only block images of granted files.
//
//	store, err := image.Open(dir)
//	img, err := store.Tree(ctx, "/src", image.Owner{…}) // converted once; a second call finds it
//	k, err := image.FindKernel(getenv)
//	boot, err := store.Initramfs(k, program)
//
// An image is a file system of the kind EROFS in one file, named after the SHA-256 of its bytes. It is made without root and without
// another program. The store is one folder of the user's own; everything in it can be made again.
//
// The package reads files that may change under its hands, and refuses an image of a tree that did. It downloads nothing but, where a
// person names it, an image of a registry.
package image
