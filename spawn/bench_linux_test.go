//go:build amd64 || arm64

package spawn

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

// BenchmarkStart measures from the start to the end of /bin/true, with the standard library for comparison, in a small
// program and in one with 1 GiB resident.
func BenchmarkStart(b *testing.B) {
	requireClone3(b)
	for _, mib := range []int{0, 1024} {
		heap := make([]byte, mib<<20)
		for i := 0; i < len(heap); i += 4096 {
			heap[i] = 1
		}
		for _, form := range forms {
			b.Run(fmt.Sprintf("%dMiB/%v", mib, form), func(b *testing.B) {
				steps := table.Table{unblock(), executing("/bin/true")}
				b.ReportAllocs()
				for b.Loop() {
					p, err := Start(Request{Table: steps, Form: form})
					if err != nil {
						b.Fatal(err)
					}
					if s, err := p.Wait(); err != nil || s.Code != 0 {
						b.Fatal(s, err)
					}
					if err := p.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%dMiB/os.StartProcess", mib), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.Wait(); err != nil {
					b.Fatal(err)
				}
			}
		})
		runtime.KeepAlive(heap)
	}
}

// BenchmarkLink measures the preparation of a table of 200 mount steps.
func BenchmarkLink(b *testing.B) {
	steps := make(table.Table, 200, 201)
	for i := range steps {
		steps[i] = table.Step{Name: "mounting", Call: "mount", Args: []table.Arg{table.Path("/usr/share/something"), table.Path("/newroot/usr/share/something"), table.Null(), table.Num(4096), table.Null()}}
	}
	steps = append(steps, executing("/bin/true"))
	mem := make([]byte, steps.Size())
	b.ReportAllocs()
	for b.Loop() {
		if err := steps.Validate(table.Shared); err != nil {
			b.Fatal(err)
		}
		if err := steps.Link(mem, 4096, sysabi.NativeArch(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
