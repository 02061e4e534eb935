package variable

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		value string // "-": not set
		read  func(Env) (any, error)
		want  any
		err   string // part of the error
	}{
		{"-", func(e Env) (any, error) { return e.Is(UseNoopSink), nil }, false, ""},
		{"", func(e Env) (any, error) { return e.Is(UseNoopSink), nil }, true, ""},
		{"0", func(e Env) (any, error) { return e.Is(UseNoopSink), nil }, true, ""},

		{"-", func(e Env) (any, error) { return e.On(PolicyAllowDowngrade) }, false, ""},
		{" YES\n", func(e Env) (any, error) { return e.On(PolicyAllowDowngrade) }, true, ""},
		{" ", func(e Env) (any, error) { return e.On(PolicyAllowDowngrade) }, false, ""},
		{"Off", func(e Env) (any, error) { return e.On(PolicyAllowDowngrade) }, false, ""},
		{"enabled", func(e Env) (any, error) { return e.On(PolicyAllowDowngrade) }, false, `CELLOS_POLICY_ALLOW_DOWNGRADE: "enabled" is none of`},

		{"-", func(e Env) (any, error) { return e.Unless(RequireScopedTokens) }, true, ""},
		{"", func(e Env) (any, error) { return e.Unless(RequireScopedTokens) }, true, ""},
		{" No", func(e Env) (any, error) { return e.Unless(RequireScopedTokens) }, false, ""},
		{"nope", func(e Env) (any, error) { return e.Unless(RequireScopedTokens) }, true, "is none of"},

		{"1 ", func(e Env) (any, error) { return e.One(PerFlowRealtime) }, true, ""},
		{"true", func(e Env) (any, error) { return e.One(PerFlowRealtime) }, false, "neither 1 nor 0"},

		{"-", func(e Env) (any, error) { return e.Word(DeploymentProfile) }, "hardened", ""},
		{" Portable ", func(e Env) (any, error) { return e.Word(DeploymentProfile) }, "portable", ""},
		{"soft", func(e Env) (any, error) { return e.Word(DeploymentProfile) }, "hardened", `"soft" is none of hardened, portable`},
		{"Env", func(e Env) (any, error) { return e.Word(Broker) }, "", `"Env" is none of env, file`},

		{"5", func(e Env) (any, error) { n, _, err := e.Int(RunTimeoutMs); return n, err }, int64(5), ""},
		{" ", func(e Env) (any, error) { _, set, err := e.Int(RunTimeoutMs); return set, err }, false, ""},
		{"0", func(e Env) (any, error) { _, _, err := e.Int(RunTimeoutMs); return nil, err }, nil, "0 is below 1"},
		{"5s", func(e Env) (any, error) { _, _, err := e.Int(RunTimeoutMs); return nil, err }, nil, "not a whole number"},
		{"+5", func(e Env) (any, error) { _, _, err := e.Int(RunTimeoutMs); return nil, err }, nil, "not a whole number"},
		{"99999999999999999999", func(e Env) (any, error) { _, _, err := e.Int(RunTimeoutMs); return nil, err }, nil, "not a whole number"},
		{"65536", func(e Env) (any, error) { n, _, err := e.Int(DNSUpstreamDoTPort); return n, err }, int64(853), "above 65535"},

		{"-", func(e Env) (any, error) { return e.Millis(VaultTimeout) }, 15 * time.Second, ""},
		{"20", func(e Env) (any, error) { return e.Millis(VaultTimeout) }, 20 * time.Millisecond, ""},
		{"9223372036854775807", func(e Env) (any, error) { return e.Millis(VaultTimeout) }, 15 * time.Second, "above"},

		{" a ,, b", func(e Env) (any, error) { return strings.Join(e.List(Argv0Prefixes), "|"), nil }, "a|b", ""},
		{" x ", func(e Env) (any, error) { return e.Line(TenantID), nil }, "x", ""},
		{" x ", func(e Env) (any, error) { return e.Text(RunID), nil }, " x ", ""},
	} {
		// Which variable is read shows in the reader; setting all of them to the value saves naming it twice.
		var list []string
		if c.value != "-" {
			for _, r := range Table() {
				list = append(list, r.Name+"="+c.value)
			}
		}
		got, err := c.read(Of(list...))
		if got != c.want {
			t.Errorf("%q: got %v, want %v", c.value, got, c.want)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.value, err, c.err)
		}
	}
}

func TestCheckReportsAll(t *testing.T) {
	errs := Of("CELLOS_DEPLOYMENT_PROFILE=x", "CELLOS_BROKER=x", "CELLOS_RUN_ID=\xff").Check()
	if len(errs) != 3 {
		t.Fatalf("got %v", errs)
	}
	for _, err := range errs {
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%v is no *Error", err)
		}
	}
	if errs := Of("CELLOS_DEPLOYMENT_PROFILE= ", "CELLOS_STRICT_CONFIG=", "CELLOS_RUN_TIMEOUT_MS=", "A=\xff").Check(); len(errs) != 0 {
		t.Errorf("got %v", errs)
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"CELLOS_RUN_ID":                     "CELLOS_RUN_ID",
		"CELLOS_EXPORT_HTTP_BASE_URL__LOGS": "CELLOS_EXPORT_HTTP_BASE_URL",
		"CELLOS_EXPORT_HTTP_BASE_URL__":     "",
		"CELLOS_RUN_ID__LOGS":               "",
		"CELLOS_SECRET_API_KEY":             "CELLOS_SECRET_",
		"CELLOS_SECRET_FILE_API_KEY":        "CELLOS_SECRET_FILE_",
		"CELLOS_SECRET_DELIVERY":            "CELLOS_SECRET_DELIVERY",
		"CELLOS_SECRET_":                    "",
		"CELLOS_POLICY_PACK":                "",
	} {
		r, ok := Find(name)
		if r.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v", name, r.Name, ok)
		}
	}
}

func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Table() {
		if seen[r.Name] {
			t.Errorf("%s is declared twice", r.Name)
		}
		seen[r.Name] = true
		if r.Help == "" || r.Reader == "" || strings.Contains(r.Help+r.Reader, "\n") {
			t.Errorf("%s: a reader and one line of help", r.Name)
		}
		if (r.Kind == "word") != (len(r.Words) > 0) {
			t.Errorf("%s: words belong to the kind word", r.Name)
		}
		if r.Kind == "word" && r.Default != "" && !slices.Contains(r.Words, r.Default) {
			t.Errorf("%s: the default is none of the words", r.Name)
		}
	}
}

func TestPageIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../docs/variables.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != Markdown() {
		t.Error("docs/variables.md is not what the table says: run go generate ./variable")
	}
}

// TestNobodyElseReads finds what reads a variable without this package, and names of variables that the table does not have.
func TestNobodyElseReads(t *testing.T) {
	reads := map[string]string{"Getenv": "os syscall", "LookupEnv": "os", "Environ": "os syscall", "ExpandEnv": "os", "Setenv": "os syscall", "Unsetenv": "os syscall", "Clearenv": "os syscall",
		"TempDir": "os", "UserHomeDir": "os", "UserCacheDir": "os", "UserConfigDir": "os"}
	looksLikeOne := regexp.MustCompile(`^(CELLOS|CELL_OS|NATS|XDG|ACTIONS|SSL|AWS)_[A-Z0-9_]+$`)
	set := map[string]string{"AWS_CA_BUNDLE": "authority/inject.go"} // for a command, and not read
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, "../")
		switch {
		case d.IsDir() && (d.Name() == "testdata" || rel == "variable" || strings.HasPrefix(d.Name(), ".") && path != ".."):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing"` }) {
			return nil // part of tests
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(strings.Fields(reads[n.Sel.Name]), x.Name) {
					t.Errorf("%s: %s.%s; read variables through package variable", rel, x.Name, n.Sel.Name)
				}
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && looksLikeOne.MatchString(s) {
					if _, ok := Find(s); !ok && set[s] != rel && s != string(SecretPrefix) && s != string(SecretFilePrefix) {
						t.Errorf("%s: %s is not in the table of package variable", rel, s)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}
