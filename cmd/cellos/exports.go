package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/document"
	"cellos.io/cellos/export"
	"cellos.io/cellos/export/local"
	"cellos.io/cellos/export/web"
	"cellos.io/cellos/outbound"
	"cellos.io/cellos/secret"
	"cellos.io/cellos/supervisor"
	"cellos.io/cellos/variable"
)

// A runExports is where the artifacts of one run go.
type runExports struct {
	cell  string
	parts []exportPart // one for each artifact
}

type exportPart struct {
	name string
	to   supervisor.Target
	sink export.Sink
	s3   *bucketProgram // instead of sink
}

// Target says where an artifact goes.
func (x *runExports) Target(artifact int) supervisor.Target { return x.parts[artifact].to }

// Export carries one out.
func (x *runExports) Export(ctx context.Context, artifact int, f fs.File) (supervisor.Exported, error) {
	p := x.parts[artifact]
	if p.s3 != nil {
		return p.s3.export(ctx, f)
	}
	src, err := export.Read(f)
	if err != nil {
		return supervisor.Exported{}, err
	}
	if err := p.sink.Put(ctx, x.cell, p.name, src); err != nil {
		return supervisor.Exported{}, err
	}
	return supervisor.Exported{Bytes: src.Size(), SHA256: src.SHA256()}, nil
}

// exports composes the sinks of a document's artifacts; nil if it has none. An artifact that has nowhere to go is refused, and so are two
// that would go to one place.
func exports(doc *document.Document, durable bool, env cli.Environment) (*runExports, error) {
	e := doc.Spec.Export
	if e == nil || len(e.Artifacts) == 0 {
		return nil, nil
	}
	c := exportComposer{env: env, cell: doc.Spec.ID, durable: durable}
	x := &runExports{cell: doc.Spec.ID}
	taken := map[string]string{}
	var errs []error
	for i, a := range e.Artifacts {
		from := fmt.Sprintf("spec.export.artifacts[%d]", i)
		part, place, err := c.part(a, targetOf(e, a))
		if err != nil {
			for _, err := range cli.Split(err) {
				errs = append(errs, inExport(from, err))
			}
			continue
		}
		if other, ok := taken[place]; ok {
			errs = append(errs, cli.NewMistake(fmt.Sprintf("%s: it would overwrite %s: both go to one place", from, other), "use {artifact_name} in the URL, or one target for each"))
		}
		taken[place] = from
		x.parts = append(x.parts, part)
	}
	if len(errs) > 0 {
		return nil, cli.Failure{Code: cli.ExitRefused, Errs: errs}
	}
	return x, nil
}

func inExport(from string, err error) error {
	var m cli.Mistake
	if errors.As(err, &m) {
		return m.About(from)
	}
	return fmt.Errorf("%s: %w", from, err)
}

// targetOf is the target of an artifact: its own, else the only one, else nil.
func targetOf(e *document.Export, a document.Artifact) *document.Target {
	for i := range e.Targets {
		if a.Target != nil && e.Targets[i].Name == *a.Target || a.Target == nil && len(e.Targets) == 1 {
			return &e.Targets[i]
		}
	}
	return nil
}

// An exportComposer reads the variables of exports.
type exportComposer struct {
	env     cli.Environment
	cell    string
	durable bool
}

// part composes the sink of one artifact. place is the same for two artifacts only if one would overwrite the other.
func (c exportComposer) part(a document.Artifact, t *document.Target) (p exportPart, place string, err error) {
	p.name = a.Name
	target := ""
	if t != nil {
		target = t.Name
		p.to.Name = t.Name
	}
	kind := ""
	base := c.scoped(variable.ExportHTTPBaseURL, target)
	switch {
	case t != nil && t.Kind == document.TargetS3:
		kind = document.TargetS3
		if url := c.scoped(variable.ExportS3PresignedURL, target); url != "" {
			base = url
		}
	case t != nil || base != "":
		kind = document.TargetHTTP
	case c.env.Vars.Set(variable.ExportDir):
		dir := c.env.Vars.Raw(string(variable.ExportDir))
		if dir == "" {
			return p, "", variable.Errorf(variable.ExportDir, "it is empty")
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return p, "", err
		}
		p.to.Kind, p.to.Destination = "local", c.cell+"/"+a.Name
		p.sink = local.Sink{Dir: dir, Sync: c.durable}
		return p, "local " + a.Name, nil
	}
	if base == "" && kind == document.TargetS3 && c.credentials() {
		p.to.Kind, p.to.Destination = kind, objectName(t, a.Name)
		p.s3, err = c.bucket(a, t)
		return p, p.to.Destination, err
	}
	if base == "" {
		return p, "", c.nowhere(a.Name, t)
	}
	s := &web.Sink{URL: base, Exact: kind == document.TargetS3, What: kind}
	if a.ContentType != nil {
		s.Type = *a.ContentType
	}
	u, err := s.For(c.cell, a.Name)
	if err != nil {
		return p, "", fmt.Errorf("the URL of artifact %s: %w", a.Name, err)
	}
	p.to.Kind, p.to.Destination = kind, outbound.Shown(u)
	if kind == document.TargetS3 {
		p.to.Destination = objectName(t, a.Name)
	} else {
		s.Bearer = secret.FromString(c.scoped(variable.ExportHTTPBearerToken, target))
	}
	p.sink = s
	return p, u.String(), c.client(s, kind, target)
}

// client completes a sink with its times.
func (c exportComposer) client(s *web.Sink, kind, target string) error {
	attempts, backoff := variable.ExportHTTPMaxAttempts, variable.ExportHTTPRetryBackoff
	connect, total := variable.ExportHTTPConnectTimeout, variable.ExportHTTPTimeout
	if kind == document.TargetS3 {
		attempts, backoff, connect, total = variable.ExportS3MaxAttempts, variable.ExportS3RetryBackoff, variable.ExportS3ConnectTimeout, variable.ExportS3Timeout
	}
	n, e1 := c.number(attempts, target, 1, 1)
	ms, e2 := c.number(backoff, target, 0, 0)
	connectTime, e3 := c.env.Vars.Millis(connect)
	totalTime, e4 := c.env.Vars.Millis(total)
	pool, e5 := roots(c.env)
	s.Attempts, s.Backoff = n, time.Duration(ms)*time.Millisecond
	s.Client = outbound.Client(outbound.Config{Connect: connectTime, Total: totalTime, Roots: pool})
	return errors.Join(e1, e2, e3, e4, e5)
}

func (c exportComposer) nowhere(artifact string, t *document.Target) error {
	if t == nil {
		return cli.NewMistake(fmt.Sprintf("export requested for artifact %q but no export sink is configured", artifact), "set CELLOS_EXPORT_DIR or CELLOS_EXPORT_HTTP_BASE_URL")
	}
	name := string(variable.ExportHTTPBaseURL)
	if t.Kind == document.TargetS3 {
		name = string(variable.ExportS3PresignedURL)
	}
	hint := "set " + name + "__" + scope(t.Name) + ", or " + name
	if t.Kind == document.TargetS3 {
		hint += ", or credentials of AWS: AWS_ACCESS_KEY_ID, AWS_PROFILE, …"
	}
	return cli.NewMistake(fmt.Sprintf("export requested for artifact %q but no export sink is configured for the target %s", artifact, t.Name), hint)
}

// objectName names an object as its receipt does.
func objectName(t *document.Target, name string) string {
	s := "s3://" + t.Bucket
	if t.KeyPrefix != nil {
		if prefix := strings.Trim(*t.KeyPrefix, "/"); prefix != "" {
			s += "/" + prefix
		}
	}
	return s + "/" + name
}

// scope is what a target's name becomes in the name of a variable.
func scope(target string) string {
	b := []byte(strings.ToUpper(target))
	for i, c := range b {
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			b[i] = '_'
		}
	}
	return string(b)
}

// scoped reads a variable for a target: NAME__TARGET, else NAME. Blank counts as not set.
func (c exportComposer) scoped(n variable.Line, target string) string {
	if target != "" {
		if v, _ := c.env.Vars.Lookup(string(n) + "__" + scope(target)); strings.TrimSpace(v) != "" {
			return strings.TrimSpace(v)
		}
	}
	return c.env.Vars.Line(n)
}

// number reads a number for a target. No blanks are allowed in it.
func (c exportComposer) number(n variable.Number, target string, least, standard int) (int, error) {
	name := string(n)
	v, _ := c.env.Vars.Lookup(name)
	if target != "" {
		if s, ok := c.env.Vars.Lookup(name + "__" + scope(target)); ok && s != "" {
			name, v = name+"__"+scope(target), s
		}
	}
	if v == "" {
		return standard, nil
	}
	i, err := strconv.Atoi(v)
	switch {
	case err != nil || strings.HasPrefix(v, "+"):
		return 0, fmt.Errorf("%s: %s is not a whole number", name, cli.Quote(v))
	case i < least:
		return 0, fmt.Errorf("%s must be >= %d", name, least)
	case i > 1<<31:
		return 0, fmt.Errorf("%s: %d is too large", name, i)
	}
	return i, nil
}
