//go:build linux && (amd64 || arm64)

package gvisor

import (
	"os"
	"strings"
	"sync"
	"time"
)

// said keeps the end of what runsc prints on its standard error. What it prints is gVisor's own, but a broken one may print anything: no
// more than the end is kept, and only what can be shown.
type said struct {
	r    *os.File
	done chan struct{}
	mu   sync.Mutex
	tail []byte
}

// tailSize is kept of what runsc says; a message is one line of some hundred bytes, a Go panic shows its reason first and its stacks after.
const tailSize = 4096

func listen(r *os.File) *said {
	s := &said{r: r, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			s.mu.Lock()
			if s.tail = append(s.tail, b[:n]...); len(s.tail) > tailSize {
				s.tail = append([]byte(nil), s.tail[len(s.tail)-tailSize:]...)
			}
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// last returns the last lines, in one.
func (s *said) last() string {
	if s == nil {
		return ""
	}
	select {
	case <-s.done:
	case <-time.After(100 * time.Millisecond): // a process that is not gone yet holds the other end
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return lastLines(string(s.tail))
}

// close ends the reader.
func (s *said) close() {
	s.r.Close()
	<-s.done
}

// lastLines takes the last lines of a text that say something.
func lastLines(text string) string {
	var keep []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.ToValidUTF8(line, "\uFFFD"))
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return ' '
			}
			return r
		}, line)
		if line != "" {
			keep = append(keep, line)
		}
	}
	if len(keep) > lines {
		keep = keep[len(keep)-lines:]
	}
	out := strings.Join(keep, "; ")
	if len(out) > 1000 {
		out = "…" + strings.ToValidUTF8(out[len(out)-1000:], "")
	}
	return out
}

const lines = 4

// hint knows the remedy for what runsc says often.
func hint(text string) string {
	for _, x := range []struct{ word, remedy string }{
		{"no space left", "the memory for what runsc notes is used up; the host may be out of memory"},
		{"cannot allocate memory", "the cell's memory limit must hold gVisor's kernel too; see docs/backends.md for the least"},
		{"permission denied", "the cell's user may not do what runsc needs; is something of it owned by somebody else?"},
		{"flag provided but not defined", remedy},
	} {
		if strings.Contains(text, x.word) {
			return x.remedy
		}
	}
	return ""
}

// A hinted error knows a remedy.
type hinted struct {
	error
	hint string
}

// Hint returns the remedy.
func (h hinted) Hint() string { return h.hint }

func (h hinted) Unwrap() error { return h.error }
