package broker

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cellos.io/cellos/secret"
)

func text(v secret.Value) string { return string(v.AppendTo(nil)) }

func TestEnv(t *testing.T) {
	vars := map[string]string{"CELLOS_SECRET_DB_PASS": " as it is\n", "CELLOS_SECRET_A.B": "dot", "CELLOS_SECRET_EMPTY": ""}
	b := Env{func(n string) (string, bool) { v, ok := vars[n]; return v, ok }}
	for key, want := range map[string]string{"db-pass": " as it is\n", "DB_PASS": " as it is\n", "a.b": "dot", "empty": ""} {
		if v, err := b.Resolve(context.Background(), key); err != nil || text(v) != want {
			t.Errorf("%s: %q, %v", key, text(v), err)
		}
	}
	if _, err := b.Resolve(context.Background(), "no-pe"); err == nil || err.Error() != `env var CELLOS_SECRET_NO_PE not set (required for secret key "no-pe")` {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path(name), mode)
	}
	write("good", "a\nb\n\n", 0o600)
	write("readable", "x", 0o444)
	write("empty", "", 0o600)
	write("newline", "\n", 0o600)
	write("largest", strings.Repeat("x", MaxValue)+"\n", 0o600)
	write("too-large", strings.Repeat("x", MaxValue+2), 0o600)
	write("binary", "a\xffb", 0o600)
	write("group", "x", 0o620)
	write("world", "x", 0o602)
	os.Symlink("good", path("link"))
	os.Mkdir(path("folder"), 0o700)
	if err := syscall.Mkfifo(path("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := File{func(n string) (string, bool) {
		name, ok := strings.CutPrefix(n, "CELLOS_SECRET_FILE_")
		switch name {
		case "UNSET":
			return "", false
		case "ZERO":
			return "/dev/zero", ok
		case "KERNEL":
			return "/proc/self/status", ok
		}
		return path(strings.ToLower(strings.ReplaceAll(name, "_", "-"))), ok
	}}
	for key, want := range map[string]string{"good": "a\nb\n", "readable": "x", "empty": "", "newline": "", "largest": strings.Repeat("x", MaxValue)} {
		if v, err := b.Resolve(context.Background(), key); err != nil || text(v) != want {
			t.Errorf("%s: %d bytes, %v", key, v.Len(), err)
		}
	}
	for key, want := range map[string]string{
		"too-large": "longer than 1 MiB", "binary": "not UTF-8", "group": "mode 0620", "world": "mode 0602", "link": "symbolic link", "folder": "no regular file",
		"fifo": "no regular file", "zero": "no regular file", "unset": "CELLOS_SECRET_FILE_UNSET not set", "missing": "no such file",
	} {
		_, err := b.Resolve(context.Background(), key)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, want %q", key, err, want)
		}
	}
	if os.Geteuid() == 0 {
		os.Chown(path("good"), 12345, 0)
		if _, err := b.Resolve(context.Background(), "good"); err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("a file of somebody else: %v", err)
		}
	}
}

func TestMemory(t *testing.T) {
	if v, err := (Memory{"c"}).Resolve(context.Background(), "k"); err != nil || text(v) != "simulated:c:k" {
		t.Errorf("%q, %v", text(v), err)
	}
}

func TestCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("in a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Caller{func(n string) (string, bool) { return "of " + n, n != "nope" }, map[string]string{"b": path, "c": path + "x"}}
	for key, want := range map[string]string{"a": "of a", "b": "in a file"} {
		if v, err := b.Resolve(context.Background(), key); err != nil || text(v) != want {
			t.Errorf("%s: %q, %v", key, text(v), err)
		}
	}
	for key, want := range map[string]string{"nope": "no variable nope", "c": `read the file of secret "c": no such file`} {
		if v, err := b.Resolve(context.Background(), key); err == nil || v.Len() != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
