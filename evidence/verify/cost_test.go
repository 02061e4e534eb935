package verify_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/keys"
	"cellos.io/cellos/evidence/verify"
)

// TestMillionEvents: memory does not grow with the stream.
func TestMillionEvents(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 10_000
	}
	k := newKey(t)
	r, w := io.Pipe()
	buffer := bufio.NewWriterSize(w, 1<<20) // so that both sides work at the same time
	stream := start(t, buffer, k)
	go func() {
		for range n - 1 {
			if _, err := stream.Append(evidence.SourceSupervisor, evidence.ProcessSpawned{Program: "/bin/true", Argc: 1}); err != nil {
				t.Error(err)
				break
			}
		}
		_, err := stream.Finish(evidence.SourceSupervisor, evidence.Destroyed{})
		w.CloseWithError(errors.Join(err, buffer.Flush()))
	}()
	var peak uint64
	seen := 0
	v := verify.Verifier{Keys: trust(k), Visit: func(evidence.Event) {
		if seen++; seen%(n/20) == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapSys)
		}
	}}
	report, err := v.Verify(r)
	if err != nil || report.Verdict() != verify.Good || report.Events != uint64(n) || seen != n {
		t.Fatalf("%v, %+v", err, report)
	}
	if peak > 64<<20 {
		t.Errorf("%d MiB of heap for %d events", peak>>20, n)
	}
	t.Logf("%d events, %d MiB of heap", n, peak>>20)
}

// TestManyFindings: nor with what is wrong with it.
func TestManyFindings(t *testing.T) {
	k := newKey(t)
	lines := record(t, k)
	var b bytes.Buffer
	for range 5000 {
		b.Write(lines[3])
	}
	r := check(t, verify.Verifier{Keys: trust(k)}, b.Bytes())
	if len(r.Findings) != 1000 || r.More != 5001-1000 || !r.Has(verify.Duplicated, verify.Open) {
		t.Errorf("%d findings and %d more", len(r.Findings), r.More)
	}
}

// BenchmarkVerify verifies a run of a thousand events, and beside it signatures alone: what is left to gain.
func BenchmarkVerify(b *testing.B) {
	const n = 1000
	k := newKey(b)
	var stream bytes.Buffer
	s := start(b, &stream, k)
	p := payloads()
	for i := range n - 1 {
		if _, err := s.Append(evidence.SourceSupervisor, p[i%(len(p)-1)]); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.Finish(evidence.SourceSupervisor, p[len(p)-1]); err != nil {
		b.Fatal(err)
	}
	b.Run("events", func(b *testing.B) {
		v := verify.Verifier{Keys: trust(k)}
		b.ReportAllocs()
		events, began := 0, processor()
		for b.Loop() {
			if r, err := v.Verify(bytes.NewReader(stream.Bytes())); err != nil || r.Verdict() != verify.Good {
				b.Fatal(err, r)
			}
			events += n
		}
		b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(events)/(processor()-began).Seconds(), "events/cpu-s")
	})
	b.Run("signatures alone", func(b *testing.B) {
		message := make([]byte, 300)
		sig, err := k.Sign(message)
		if err != nil {
			b.Fatal(err)
		}
		n, began := 0, processor()
		for b.Loop() {
			if !keys.Verify(k.Public(), message, sig) {
				b.Fatal("it does not verify")
			}
			n++
		}
		b.ReportMetric(float64(n)/(processor()-began).Seconds(), "signatures/cpu-s")
	})
}

func BenchmarkAppend(b *testing.B) {
	for name, signer := range map[string]evidence.Signer{"signed": newKey(b), "unsigned": nil} {
		b.Run(name, func(b *testing.B) {
			s := start(b, io.Discard, signer)
			p := payloads()
			b.ReportAllocs()
			n, began := 0, processor()
			for b.Loop() {
				if _, err := s.Append(evidence.SourceSupervisor, p[n%len(p)]); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(n)/(processor()-began).Seconds(), "events/cpu-s")
		})
	}
}

// processor is the time that this process had on any processor: what a busy machine does not change much.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
