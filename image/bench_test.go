package image

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// benchTree makes a tree of files of one size, whose bytes do not repeat.
func benchTree(b *testing.B, files, size int) string {
	b.Helper()
	dir := b.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, size)
	for i := range files {
		if i%1000 == 0 {
			if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i/1000)), 0o755); err != nil {
				b.Fatal(err)
			}
		}
		random.Read(data)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i/1000), fmt.Sprint(i)), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

func benchConvert(b *testing.B, files, size int) {
	dir := benchTree(b, files, size)
	b.SetBytes(int64(files * size))
	for b.Loop() {
		b.StopTimer()
		s, err := Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		img, err := s.Tree(b.Context(), Want{Path: dir})
		if err != nil {
			b.Fatal(err)
		}
		img.Close()
	}
	b.ReportMetric(float64(files*b.N)/b.Elapsed().Seconds(), "files/s")
}

func BenchmarkConvertLarge(b *testing.B) { benchConvert(b, 4, 64<<20) }
func BenchmarkConvertSmall(b *testing.B) { benchConvert(b, 20_000, 1000) }
func BenchmarkConvertMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("a million files")
	}
	benchConvert(b, 1_000_000, 10)
}

// BenchmarkCached is what a second run pays for a tree that has not changed.
func BenchmarkCached(b *testing.B) {
	for _, x := range []struct{ files, size int }{{1000, 1000}, {10_000, 1000}, {10, 8 << 20}} {
		b.Run(fmt.Sprintf("%d files of %d bytes", x.files, x.size), func(b *testing.B) {
			dir := benchTree(b, x.files, x.size)
			s, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			tree := func() {
				img, err := s.Tree(b.Context(), Want{Path: dir})
				if err != nil {
					b.Fatal(err)
				}
				img.Close()
			}
			tree() // the first run's
			for b.Loop() {
				tree()
			}
		})
	}
}

// BenchmarkDigest is what the SHA-256 of an image alone costs.
func BenchmarkDigest(b *testing.B) {
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}
