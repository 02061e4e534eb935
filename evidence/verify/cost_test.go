package verify_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
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

// TestManyOfOneKey: what is wrong is found as late as early: from some event on signatures are verified in another way.
func TestManyOfOneKey(t *testing.T) {
	k, other := newKey(t), newKey(t)
	var b bytes.Buffer
	s := start(t, &b, k)
	for range 299 {
		if _, err := s.Append(evidence.SourceSupervisor, evidence.ProcessSpawned{Program: "/bin/true", Argc: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Finish(evidence.SourceSupervisor, evidence.Destroyed{}); err != nil {
		t.Fatal(err)
	}
	if r := check(t, verify.Verifier{Keys: trust(k, other)}, b.Bytes()); r.Verdict() != verify.Good || r.Events != 300 {
		t.Fatalf("%+v", r)
	}
	lines := bytes.SplitAfter(b.Bytes(), []byte("\n"))
	for _, i := range []int{0, 62, 63, 64, 65, 298} {
		changed := slices.Clone(lines)
		changed[i] = bytes.Replace(lines[i], []byte("/bin/true"), []byte("/bin/rule"), 1)
		if r := check(t, verify.Verifier{Keys: trust(k)}, bytes.Join(changed, nil)); !r.Has(verify.Altered) || r.Findings[0].Line != i+1 {
			t.Errorf("event %d changed: %+v", i+1, r.Findings)
		}
		// A bit of the signature, which is inside the base64 of the envelope inside that of the attribute.
		at := bytes.Index(lines[i], []byte(`"dssematerial":"`)) + len(`"dssematerial":"`)
		end := at + bytes.IndexByte(lines[i][at:], '"')
		envelope, err := base64.StdEncoding.DecodeString(string(lines[i][at:end]))
		if err != nil {
			t.Fatal(err)
		}
		sig := bytes.Index(envelope, []byte(`"sig":"`)) + len(`"sig":"`)
		envelope[sig+20] ^= 'A' ^ 'B' // another character, of base64 or none
		changed[i] = slices.Concat(lines[i][:at], []byte(base64.StdEncoding.EncodeToString(envelope)), lines[i][end:])
		if r := check(t, verify.Verifier{Keys: trust(k)}, bytes.Join(changed, nil)); r.Verdict() != verify.BadEvents || r.Findings[0].Line != i+1 {
			t.Errorf("the signature of event %d changed: %+v", i+1, r.Findings)
		}
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

// BenchmarkAppend makes, chains, signs and writes events: into nothing, and into the two files of a run that has a mirror.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name   string
		signer evidence.Signer
		files  bool
	}{{"unsigned", nil, false}, {"signed", newKey(b), false}, {"signed, record and mirror", newKey(b), true}} {
		b.Run(c.name, func(b *testing.B) {
			outputs := []evidence.Output{{Name: "nothing", Sink: evidence.WriterSink(io.Discard)}}
			if c.files {
				dir := b.TempDir()
				record, err := evidence.OpenFile(filepath.Join(dir, "events.jsonl"), 0o600)
				if err != nil {
					b.Fatal(err)
				}
				mirror, err := evidence.OpenShared(filepath.Join(dir, "mirror.jsonl"), 0o600)
				if err != nil {
					b.Fatal(err)
				}
				outputs = []evidence.Output{{Name: "run record", Sink: record}, {Name: "jsonl sink", Sink: mirror}}
			}
			s := startInto(b, c.signer, outputs...)
			defer s.Close()
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
