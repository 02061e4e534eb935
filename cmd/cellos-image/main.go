// Command cellos-image prepares what virtual machines boot, for cellos: it unpacks kernels, and makes file systems of OCI images. It is a
// program of its own because the libraries for that take longer to initialise than a cell takes to start, and are needed once for each
// kernel and image (docs/adr/0051-a-program-for-images.md).
//
//	cellos-image -store DIR kernel FILE
//	cellos-image -store DIR oci oci:DIR | oci-archive:FILE | docker-archive:FILE | docker://NAME
//
// On success it prints what it made as JSON. On failure it prints the reason to standard error, and the exit status is 1; of a command line
// that it does not take, 2.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"cellos.io/cellos/image"
	"cellos.io/cellos/image/oci"
	"cellos.io/cellos/image/vmlinux"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	set := flag.NewFlagSet("cellos-image", flag.ContinueOnError)
	store := set.String("store", "", "folder of images")
	if err := set.Parse(args); err != nil || *store == "" || set.NArg() != 2 {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	made, err := do(ctx, *store, set.Arg(0), set.Arg(1))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(made)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func do(ctx context.Context, store, verb, arg string) (any, error) {
	s, err := image.Open(store)
	if err != nil {
		return nil, err
	}
	switch verb {
	case "kernel":
		k, err := image.FindKernel(arg, "", "/lib/modules", runtime.GOARCH)
		if err != nil {
			return nil, err
		}
		return s.AddELF(ctx, k, func(f *os.File, n int64) ([]byte, error) { return vmlinux.Unpack(f, n) })
	case "oci":
		return oci.Add(ctx, s, arg, runtime.GOARCH)
	}
	return nil, fmt.Errorf("unknown command %q", verb)
}
