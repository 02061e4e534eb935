// Command precompile writes the seccomp filters of gVisor's sentry and gofer as Go, as gVisor's own build with Bazel does: its Go module is
// published without, and then compiles them at each start of a sandbox, which takes a sixth of the start.
//
//	go run ./precompile DIR
//
// DIR is a copy of the module, in which runsc/boot/filter/filter_precompiled.go and that of runsc/fsgofer are filled. The filters are gVisor's
// own, made by its own code; only those for what cells use (systrap, directfs, no network of the host, no devices) are kept. Another
// combination is compiled at the start, as before.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"
	sentry "gvisor.dev/gvisor/runsc/boot/filter/config"
	gofer "gvisor.dev/gvisor/runsc/fsgofer/filter/config"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "precompiling gVisor's filters:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, p := range []struct {
		file     string
		programs func() ([]precompiledseccomp.Program, error)
	}{
		{"runsc/boot/filter/filter_precompiled.go", sentry.PrecompiledPrograms},
		{"runsc/fsgofer/filter/filter_precompiled.go", gofer.PrecompiledPrograms},
	} {
		programs, err := p.programs()
		if err != nil {
			return err
		}
		file := filepath.Join(dir, p.file)
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text, err := filled(string(old), programs)
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rare are options that no cell has.
var rare = regexp.MustCompile(`HostNetwork=true|HostNetworkRawSockets=true|NVProxy=true|TPUProxy=true|RDMAProxy=true|CgoEnabled=true|UDSCreateEnabled=true|HostFilesystem=false|DirectFS=false|Platform="(kvm|ptrace|slimvm)`)

// filled is a file with programs to register.
func filled(old string, programs []precompiledseccomp.Program) (string, error) {
	const empty, off = "	programs := make(map[string]precompiledseccomp.Program)\n", "PrecompilationDisabledAtBuildTime = true"
	if strings.Count(old, empty) != 1 || strings.Count(old, off) != 1 {
		return "", fmt.Errorf("not the file that this program knows")
	}
	sort.Slice(programs, func(i, j int) bool { return programs[i].Name < programs[j].Name })
	var b strings.Builder
	b.WriteString(empty)
	n := 0
	for _, p := range programs {
		if !rare.MatchString(p.Name) {
			fmt.Fprintf(&b, "	programs[%q] = %s\n", p.Name, p.Expr("\t", "precompiledseccomp"))
			n++
		}
	}
	if n == 0 {
		return "", fmt.Errorf("no program is for what cells use")
	}
	return strings.Replace(strings.Replace(old, empty, b.String(), 1), off, "PrecompilationDisabledAtBuildTime = false", 1), nil
}
