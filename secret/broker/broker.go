// Package broker says what a broker of secrets is, and has those that need no network: environment variables, files, and the simulation.
//
//	b := broker.Env{Lookup: os.LookupEnv}
//	v, err := b.Resolve(ctx, "db-pass")   // CELLOS_SECRET_DB_PASS
//	defer v.Wipe()
//
// Keys are the document's: letters, digits, dots, underscores and dashes. No error of a broker holds a value.
package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"cellos.io/cellos/secret"
)

// A Broker gets secrets from where they are kept. It may be called concurrently.
type Broker interface {
	// Name is the word by which the broker is chosen: "env".
	Name() string
	// Resolve returns a value of its own for the caller, who wipes it.
	Resolve(ctx context.Context, key string) (secret.Value, error)
}

// A Leaser is a broker that can give secrets on lease.
type Leaser interface {
	Broker
	// Lease makes sure that every key can be had. On error nothing is left to be revoked.
	Lease(ctx context.Context, keys []string) (Lease, error)
}

// A Lease gives out secrets until it is revoked. It may be used concurrently.
type Lease interface {
	Resolve(ctx context.Context, key string) (secret.Value, error)
	// Revoke ends the lease where it was made. Calling it again does nothing.
	Revoke(ctx context.Context) error
}

// MaxValue bounds a value: 1 MiB.
const MaxValue = 1 << 20

// Env finds secrets in environment variables: CELLOS_SECRET_ and the key.
type Env struct {
	Lookup func(name string) (string, bool)
}

// Name returns "env".
func (Env) Name() string { return "env" }

// Resolve reads one variable.
func (e Env) Resolve(_ context.Context, key string) (secret.Value, error) {
	name := variable("CELLOS_SECRET_", key)
	v, ok := e.Lookup(name)
	if !ok {
		return secret.Value{}, fmt.Errorf("env var %s not set (required for secret key %q)", name, key)
	}
	return secret.FromString(v), nil
}

// variable is the name that a key has behind a prefix.
func variable(prefix, key string) string {
	return prefix + strings.ReplaceAll(strings.ToUpper(key), "-", "_")
}

// File finds secrets in files, whose names are in environment variables: CELLOS_SECRET_FILE_ and the key. A file must be a regular file of
// root's or the caller's, that nobody else may write, with UTF-8 text of up to MaxValue bytes. One newline at its end does not count.
type File struct {
	Lookup func(name string) (string, bool)
}

// Name returns "file".
func (File) Name() string { return "file" }

// Resolve reads one file.
func (f File) Resolve(_ context.Context, key string) (secret.Value, error) {
	name := variable("CELLOS_SECRET_FILE_", key)
	path, ok := f.Lookup(name)
	if !ok {
		return secret.Value{}, fmt.Errorf("env var %s not set (required for secret key %q)", name, key)
	}
	v, err := ownFile(path)
	if err != nil {
		return v, fmt.Errorf("read secret file for key %q (%s): %w", key, name, err)
	}
	return v, nil
}

// Caller finds secrets where whoever calls has them: in a file, as File wants it, or in an environment variable of the same name.
type Caller struct {
	Lookup func(name string) (string, bool)
	Files  map[string]string // paths by key
}

// Name returns "caller".
func (Caller) Name() string { return "caller" }

// Resolve reads one file or variable.
func (c Caller) Resolve(_ context.Context, key string) (secret.Value, error) {
	if path, ok := c.Files[key]; ok {
		v, err := ownFile(path)
		if err != nil {
			return v, fmt.Errorf("read the file of secret %q: %w", key, err)
		}
		return v, nil
	}
	v, ok := c.Lookup(key)
	if !ok {
		return secret.Value{}, fmt.Errorf("no variable %s", key)
	}
	return secret.FromString(v), nil
}

// ownFile reads one file. One newline at its end does not count.
func ownFile(path string) (secret.Value, error) {
	b, err := readOwn(path)
	if err != nil {
		return secret.Value{}, err
	}
	if n := len(b) - 1; n >= 0 && b[n] == '\n' {
		b = b[:n]
	}
	return secret.Take(b), nil
}

func readOwn(path string) ([]byte, error) {
	// O_NONBLOCK: a FIFO must not hold the caller.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) && errors.Is(err, syscall.ELOOP) {
			return nil, errors.New("it is a symbolic link (ELOOP)")
		} else if errors.As(err, &p) {
			return nil, p.Err
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case !ok || st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return nil, errors.New("it belongs to another user")
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("others may write it (mode %04o); chmod go-w", info.Mode().Perm())
	case info.Size() > MaxValue+1:
		return nil, errors.New("it is longer than 1 MiB")
	}
	b := make([]byte, 0, info.Size()+1)
	for len(b) <= MaxValue+1 {
		n, err := f.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF || n == 0 && err == nil {
			break
		}
		if err != nil {
			clear(b)
			return nil, err
		}
		if len(b) == cap(b) {
			grown := make([]byte, len(b), 2*cap(b)+512)
			copy(grown, b)
			clear(b)
			b = grown
		}
	}
	switch {
	case len(b) > MaxValue+1:
		clear(b)
		return nil, errors.New("it is longer than 1 MiB")
	case !utf8.Valid(b):
		clear(b)
		return nil, errors.New("it is not UTF-8")
	}
	return b, nil
}

// Memory invents values: simulated:CELL:KEY. It is for trying documents out.
type Memory struct{ Cell string }

// Name returns "memory".
func (Memory) Name() string { return "memory" }

// Resolve invents one.
func (m Memory) Resolve(_ context.Context, key string) (secret.Value, error) {
	return secret.FromString("simulated:" + m.Cell + ":" + key), nil
}
