package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// A bucketProgram puts a file into a bucket: cellos-s3, a program of its own beside this one.
type bucketProgram struct {
	path string
	args []string
}

// credentials reports whether somebody configured credentials of AWS. That a machine has a role is not taken for that: nobody asked it.
func (c exportComposer) credentials() bool {
	for _, n := range variable.AWSCredentials() {
		if c.env.Vars.Text(n) != "" {
			return true
		}
	}
	return false
}

// bucket composes how an artifact goes to the bucket itself.
func (c exportComposer) bucket(a document.Artifact, t *document.Target) (*bucketProgram, error) {
	vars := c.env.Vars
	n, e1 := c.number(variable.ExportS3MaxAttempts, t.Name, 1, 1)
	ms, e2 := c.number(variable.ExportS3RetryBackoff, t.Name, 0, 0)
	connect, e3 := vars.Millis(variable.ExportS3ConnectTimeout)
	answer, e4 := vars.Millis(variable.ExportS3Timeout)
	_, e5 := roots(c.env)
	region := c.scoped(variable.ExportS3Region, t.Name)
	if region == "" && t.Region != nil {
		region = *t.Region
	}
	endpoint := cmp.Or(vars.Text(variable.AWSEndpointS3), vars.Text(variable.AWSEndpoint))
	var e6 error
	if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "") {
		e6 = errors.New("AWS_ENDPOINT_URL is no http or https URL without a path")
	}
	program, e7 := cli.Besides("cellos-s3", "exporting to a bucket", ", or use a presigned URL")
	p := &bucketProgram{path: program, args: []string{"-bucket", t.Bucket, "-key", strings.TrimPrefix(objectName(t, a.Name), "s3://"+t.Bucket+"/"),
		"-region", cmp.Or(region, vars.Text(variable.AWSRegion), vars.Text(variable.AWSDefaultRegion)), "-endpoint", endpoint,
		"-attempts", strconv.Itoa(n), "-backoff", (time.Duration(ms) * time.Millisecond).String(), "-connect", connect.String(), "-answer", answer.String()}}
	if a.ContentType != nil {
		p.args = append(p.args, "-type", *a.ContentType)
	}
	if file, set := vars.Path(variable.CABundle); set {
		p.args = append(p.args, "-roots", file)
	}
	return p, errors.Join(e1, e2, e3, e4, e5, e6, e7)
}

// export runs the program on a file.
func (p *bucketProgram) export(ctx context.Context, f fs.File) (supervisor.Exported, error) {
	file, ok := f.(*os.File)
	if !ok {
		return supervisor.Exported{}, errors.New("this backend's files cannot be handed to another program")
	}
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, &out, &errs
	// Its own process group: what the terminal sends is for cellos, which tells it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second // to give up what it uploaded
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && errs.Len() > 0 {
		return supervisor.Exported{}, errors.New(cli.OneLine(strings.TrimSpace(errs.String())))
	}
	if err != nil {
		return supervisor.Exported{}, fmt.Errorf("running %s: %w", p.path, err)
	}
	var done struct {
		Bytes  int64
		SHA256 string
	}
	if err := json.Unmarshal(out.Bytes(), &done); err != nil {
		return supervisor.Exported{}, fmt.Errorf("running %s: it does not say what arrived", p.path)
	}
	return supervisor.Exported{Bytes: done.Bytes, SHA256: done.SHA256}, nil
}
