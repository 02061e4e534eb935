package spawn

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNoCallInTheChild looks at the machine code for both architectures: what follows the parent's return is the child, and
// it neither calls, nor returns, nor touches the stack.
func TestNoCallInTheChild(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not installed")
	}
	system := regexp.MustCompile(`\bSYSCALL\b|\bSVC\b`)
	bad := regexp.MustCompile(`(?i)\bCALL\b|\bBL\b|\bBLR\b|\bPUSH|\bPOP|\bRSP\b|\(SP\)|\bBP\b`)
	for _, arch := range []string{"amd64", "arm64"} {
		object := filepath.Join(t.TempDir(), arch)
		build := exec.Command(goTool, "test", "-c", "-o", object, ".") // with symbols, which the running test has not
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.Command(goTool, "tool", "objdump", "-s", `spawn\.makeChild\.abi0$`, object).Output()
		if err != nil {
			t.Fatal(err)
		}
		text := string(out)
		if strings.Count(text, "RET") != 1 {
			t.Fatalf("%s: not one return in\n%s", arch, text)
		}
		parent, child, _ := strings.Cut(text, "RET")
		if p, c := len(system.FindAllString(parent, -1)), len(system.FindAllString(child, -1)); p != 3 || c != 2 {
			t.Errorf("%s: %d system calls in the parent, %d in the child", arch, p, c)
		}
		for line := range strings.Lines(child) {
			if bad.MatchString(line) {
				t.Errorf("%s: in the child: %s", arch, line)
			}
		}
	}
}
