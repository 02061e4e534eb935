//go:build linux && (amd64 || arm64)

package microvm_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/cell"
)

// spent is the processor time of this process, without the monitor's.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pss is the proportional memory of a process in bytes (smaps_rollup, Documentation/filesystems/proc.rst).
func pss(b *testing.B, pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no Pss")
	return 0
}

// BenchmarkMachine is what one machine costs this process, the supervisor with the server of the system's files, with images that are there: processor
// time by phase, the least of all rounds, and memory while the command runs.
func BenchmarkMachine(b *testing.B) {
	back := backend(b)
	dir := workdir(b)
	least := map[string]time.Duration{}
	var names []string
	last := time.Duration(0)
	phase := func(name string) {
		now := spent(b)
		if was, ok := least[name]; !ok || now-last < was {
			least[name] = now - last
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		last = now
	}
	back.Phase = func(name string, _ time.Duration) { phase(name) }
	ctx := context.Background()
	var memory int64
	for b.Loop() {
		last = spent(b)
		p, err := planOf(back, dir, 64<<20, "/bin/cat")
		if err != nil {
			b.Fatal(err)
		}
		phase("plan")
		r, w, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		c, err := back.Build(ctx, p, cell.Streams{In: r})
		if err != nil {
			b.Fatal(err)
		}
		if bound, err := c.Measure(ctx); err != nil || bound.Err() != nil {
			b.Fatal(err, bound.Err())
		}
		phase("boundary")
		if err := c.Release(ctx); err != nil {
			b.Fatal(err)
		}
		phase("release")
		memory = pss(b, "self")
		r.Close()
		w.Close()
		if _, err := c.Wait(); err != nil {
			b.Fatal(err)
		}
		phase("to the end of the command")
		c.Destroy()
		phase("teardown")
	}
	total := time.Duration(0)
	for _, n := range names {
		b.ReportMetric(float64(least[n].Microseconds())/1000, "ms:"+strings.ReplaceAll(n, " ", "-"))
		total += least[n]
	}
	b.ReportMetric(float64(total.Microseconds())/1000, "ms:together")
	b.ReportMetric(float64(memory)/(1<<20), "MiB-Pss")
}
