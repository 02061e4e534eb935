package cellos

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// order says which package may import which: a line's packages may import those of the lines above it, and those on the
// same line that are named after an arrow. Do not relax it to fix a build: move the code.
const order = `
sysabi jsonwire printable variable outbound secret->outbound,jsonwire export->outbound,secret stream->sysabi terminal->sysabi
document table seccomp
authority spawn evidence admission
cellinit overlay gate
plan
cell
guest image
cgroup
host
backend/process
backend/gvisor
guest/agent
backend/microvm
supervisor
backend/contract
cmd/cellos/internal/cli cmd/cellos/internal/certificates
cmd/cellos/internal/records cmd/cellos/internal/sinks cmd/cellos/internal/filters
cmd/cellos/internal/backends
cmd/cellos
`

// beside are packages that belong to one other package: only it, and what is beside it, imports them.
var beside = map[string]string{
	"document/": "document", "seccomp/": "seccomp", "sysabi/": "sysabi", "spawn/": "spawn", "cellinit/": "cellinit", "table/": "table", "secret/": "secret", "export/": "export",
	"image/": "image", "evidence/": "evidence", "variable/": "variable", "admission/": "admission", "gate/": "gate",
}

const module = "cellos.io/cellos"

type pkg struct {
	ImportPath, Dir, Name, Doc           string
	GoFiles, TestGoFiles, IgnoredGoFiles []string
	Imports                              []string
	DepsErrors                           []struct{ Err string }
}

// packages lists the packages of the tree for one operating system.
func packages(t *testing.T, goos string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p pkg
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		list = append(list, p)
	}
	return list
}

func TestImportOrder(t *testing.T) {
	rank := map[string]int{}
	allowed := map[[2]string]bool{}
	for i, line := range strings.Split(strings.TrimSpace(order), "\n") {
		for _, f := range strings.Fields(line) {
			name, to, _ := strings.Cut(f, "->")
			rank[name] = i
			for x := range strings.SplitSeq(to, ",") {
				allowed[[2]string{name, x}] = true
			}
		}
	}
	home := func(p string) string {
		if _, ok := rank[p]; ok {
			return p
		}
		for prefix, owner := range beside {
			if strings.HasPrefix(p, prefix) {
				return owner
			}
		}
		return ""
	}
	for _, p := range packages(t, "linux") {
		if len(p.GoFiles) == 0 || p.ImportPath == "" || strings.Contains(p.ImportPath, "internal/cmd") || p.Name == "main" && p.ImportPath != "cmd/cellos" {
			continue
		}
		from := home(p.ImportPath)
		if from == "" {
			t.Errorf("%s has no place in the order", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			rest, ok := strings.CutPrefix(imp, module+"/")
			if !ok {
				continue
			}
			to := home(rest)
			if to == "" {
				t.Errorf("%s imports %s, which has no place in the order", p.ImportPath, rest)
			} else if to != from && rank[to] >= rank[from] && !allowed[[2]string{from, to}] {
				t.Errorf("%s may not import %s", p.ImportPath, rest)
			}
		}
	}
}

// Only one package speaks to x/sys, so that there is one place where raw calls are made.
func TestOnlySysabiImportsUnix(t *testing.T) {
	for _, p := range packages(t, "linux") {
		if slices.Contains(p.Imports, "golang.org/x/sys/unix") && p.ImportPath != "sysabi" {
			t.Errorf("%s imports golang.org/x/sys/unix; go through sysabi", p.ImportPath)
		}
	}
}

// What is left of the cell is pure: it builds where there is no Linux.
func TestPurePackagesBuildAnywhere(t *testing.T) {
	cmd := exec.Command("go", "build", "./sysabi", "./jsonwire", "./table", "./seccomp", "./document", "./admission/...", "./authority", "./plan", "./evidence", "./cell")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("building for darwin: %v\n%s", err, out)
	}
}

func TestEveryPackageIsExplained(t *testing.T) {
	for _, p := range packages(t, "linux") {
		if len(p.GoFiles) > 0 && len(strings.Fields(p.Doc)) < 5 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// goFiles calls f for every Go file of the tree.
func goFiles(t *testing.T, f func(path string, src []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err == nil {
			f(path, src)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesAreShort(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if n := bytes.Count(src, []byte("\n")); n >= 300 && !strings.HasPrefix(filepath.Base(path), "z") && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines; one subject a file, under 300 lines", path, n)
		}
	})
}

func TestUnsafeIsNamed(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		named := strings.HasSuffix(path, "_unsafe.go") || strings.HasSuffix(path, "_test.go")
		if imports(f, "unsafe") && !named {
			t.Errorf("%s imports unsafe; move that code to a file _unsafe.go", path)
		}
	})
}

func imports(f *ast.File, path string) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

func TestGeneratedFilesSaySo(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		generated := strings.HasPrefix(filepath.Base(path), "z")
		if says := bytes.Contains(src[:min(len(src), 400)], []byte("DO NOT EDIT.")); generated != says {
			t.Errorf("%s: the name and the header must both say whether it is generated", path)
		}
	})
}

// Libraries that programs beside cellos exist for are in none of its packages: every cell would wait for them to initialise.
func TestHeavyLibrariesStayOutside(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/cellos").Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.FieldsSeq(string(out)) {
		for _, heavy := range []string{"github.com/google/go-containerregistry", "github.com/klauspost/", "github.com/pierrec/", "github.com/mikelolasagasti/", "github.com/minio/", "gvisor.dev/gvisor",
			"github.com/getkin/", "github.com/nats-io/", "google.golang.org/protobuf"} {
			if strings.HasPrefix(p, heavy) {
				t.Errorf("cellos is linked with %s", p)
			}
		}
	}
}
