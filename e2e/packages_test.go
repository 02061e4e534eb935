package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
)

// packages makes what package managers ask for: an index of pip with one wheel, a proxy of Go modules with one module, a
// package of npm, and a repository of apt with one package; the folder of them.
func (s *site) packages() string {
	dir := s.t.TempDir()
	put := func(name string, data []byte) {
		s.t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	archive := func(files ...[2]string) []byte {
		s.t.Helper()
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, f := range files {
			w, err := z.Create(f[0])
			if err == nil {
				_, err = w.Write([]byte(f[1]))
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			s.t.Fatal(err)
		}
		return b.Bytes()
	}
	// Binary distribution format, PEP 427.
	const wheel, info = "hello_cell-1.0-py3-none-any.whl", "hello_cell-1.0.dist-info/"
	put("simple/hello-cell/"+wheel, archive([2]string{"hello_cell.py", "print('hello from a wheel')\n"},
		[2]string{info + "METADATA", "Metadata-Version: 2.1\nName: hello-cell\nVersion: 1.0\n"},
		[2]string{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		[2]string{info + "RECORD", fmt.Sprintf("hello_cell.py,,\n%[1]sMETADATA,,\n%[1]sWHEEL,,\n%[1]sRECORD,,\n", info)}))
	put("simple/hello-cell/index.html", []byte(`<!DOCTYPE html><html><body><a href="`+wheel+`">`+wheel+`</a></body></html>`))
	// The GOPROXY protocol, go.dev/ref/mod.
	const mod = "module example.test/x\n\ngo 1.21\n"
	put("proxy/example.test/x/@v/list", []byte("v1.0.0\n"))
	put("proxy/example.test/x/@v/v1.0.0.info", []byte(`{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}`))
	put("proxy/example.test/x/@v/v1.0.0.mod", []byte(mod))
	put("proxy/example.test/x/@v/v1.0.0.zip", archive([2]string{"example.test/x@v1.0.0/go.mod", mod}, [2]string{"example.test/x@v1.0.0/x.txt", "content\n"}))
	var tgz bytes.Buffer
	z := gzip.NewWriter(&tgz)
	w := tar.NewWriter(z)
	for _, f := range [][2]string{{"package/package.json", `{"name":"hello-cell","version":"1.0.0","main":"x.js"}`}, {"package/x.js", "console.log('hello from npm')\n"}} {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			s.t.Fatal(err)
		}
		w.Write([]byte(f[1]))
	}
	w.Close()
	z.Close()
	put("npm/hello-cell-1.0.0.tgz", tgz.Bytes())
	// A flat repository, sources.list(5).
	put("apt/Packages", []byte("Package: hello-cell\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@a.test>\nFilename: ./hello-cell.deb\nSize: 1\nDescription: none\n"))
	return dir
}
