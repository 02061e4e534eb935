// Command cellos-s3 puts one file into a bucket, for cellos. It is a program of its own because what speaks the protocol of S3 takes
// milliseconds to initialise, which every start of cellos would wait for (docs/adr/0032-a-program-for-buckets.md).
//
//	cellos-s3 -bucket B -key K [-endpoint URL] [-region R] … <FILE
//
// Credentials come from where the tools of AWS find them. On success it prints what arrived: {"bytes":5,"sha256":"…"}. On failure it prints
// the reason to standard error, and the exit status is 1; of a command line that it does not take, 2.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"

	"cellos.io/cellos/export"
	"cellos.io/cellos/export/s3"
	"cellos.io/cellos/outbound"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var s s3.Sink
	var key, roots string
	var connect, answer time.Duration
	set := flag.NewFlagSet("cellos-s3", flag.ContinueOnError)
	set.StringVar(&s.Bucket, "bucket", "", "bucket")
	set.StringVar(&key, "key", "", "key of the object")
	set.StringVar(&s.Endpoint, "endpoint", "", "URL of a server other than Amazon's")
	set.StringVar(&s.Region, "region", "", "region")
	set.StringVar(&s.Type, "type", "", "Content-Type")
	set.IntVar(&s.Attempts, "attempts", 1, "tries altogether")
	set.DurationVar(&s.Backoff, "backoff", 0, "time between tries")
	set.DurationVar(&connect, "connect", 10*time.Second, "time to connect")
	set.DurationVar(&answer, "answer", 30*time.Second, "time for the answer to each request")
	set.StringVar(&roots, "roots", "", "file of further root certificates")
	if err := set.Parse(args); err != nil || s.Bucket == "" || key == "" || set.NArg() > 0 {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	if err := put(ctx, s, key, roots, connect, answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func put(ctx context.Context, s s3.Sink, key, roots string, connect, answer time.Duration) error {
	c := outbound.Config{Connect: connect}
	if roots != "" {
		var err error
		if c.Roots, err = outbound.Roots(roots); err != nil {
			return err
		}
	}
	tr, ok := outbound.Client(c).Transport.(*http.Transport)
	if !ok {
		return errors.New("cellos-s3 bug: another kind of transport")
	}
	tr.ResponseHeaderTimeout = answer // of each request; a large file takes many
	s.Transport = tr
	src, err := export.Read(os.Stdin)
	if err != nil {
		return err
	}
	if s.Prefix = path.Dir(key); s.Prefix == "." {
		s.Prefix = ""
	}
	if err := s.Put(ctx, "", path.Base(key), src); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"bytes": src.Size(), "sha256": src.SHA256()})
}
