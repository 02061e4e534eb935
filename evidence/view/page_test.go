package view

import (
	"context"
	"image"
	"image/color"
	_ "image/png"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A browser is a headless Chromium whose every request goes through a proxy that notes it.
type browser struct {
	t     *testing.T
	path  string
	proxy *httptest.Server
	dir   string

	mu    sync.Mutex
	asked []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	// Not t.TempDir: processes of the browser may still write for a moment when it has ended.
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for n := 0; os.RemoveAll(dir) != nil && n < 1000; n++ {
			time.Sleep(10 * time.Millisecond)
		}
	})
	b := &browser{t: t, dir: dir}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil && b.path == "" {
			b.path = p
		}
	}
	if b.path == "" {
		t.Skip("needs chromium")
	}
	b.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What the browser asks of its maker is not the page's: updates, the time, variations.
		host, _, _ := strings.Cut(r.Host, ":")
		if !strings.HasSuffix(host, ".google.com") && !strings.HasSuffix(host, ".googleapis.com") && !strings.HasSuffix(host, ".gvt1.com") {
			b.mu.Lock()
			b.asked = append(b.asked, r.Method+" "+r.Host+r.URL.Path)
			b.mu.Unlock()
		}
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(b.proxy.Close)
	return b
}

// run opens a page of the file system and returns what it asked of any network.
func (b *browser) run(page string, args ...string) []string {
	b.t.Helper()
	b.asked = nil
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync", "--disable-dev-shm-usage",
		"--disable-crash-reporter", "--disable-breakpad",
		"--metrics-recording-only", "--user-data-dir=" + filepath.Join(b.dir, "profile"), "--proxy-server=" + b.proxy.URL, "--proxy-bypass-list=<-loopback>"}, append(args, "file://"+page)...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_CONFIG_HOME="+b.dir, "XDG_CACHE_HOME="+b.dir)
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	defer func() {
		if cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever it left
		}
	}()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%s: %v\n%s", b.path, err, out)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// shot takes a screenshot and returns it.
func (b *browser) shot(page string, args ...string) image.Image {
	b.t.Helper()
	path := filepath.Join(b.dir, "shot.png")
	if asked := b.run(page, append(args, "--screenshot="+path)...); len(asked) > 0 {
		b.t.Errorf("the page asks the network for %q", asked)
	}
	f, err := os.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		b.t.Fatal(err)
	}
	return img
}

// pixels counts those of a color, with a tolerance for what a display does to it.
func pixels(img image.Image, want color.RGBA) (n int) {
	near := func(a uint32, b uint8) bool { d := int(a>>8) - int(b); return d > -6 && d < 6 }
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			if r, g, b, _ := img.At(x, y).RGBA(); near(r, want.R) && near(g, want.G) && near(b, want.B) {
				n++
			}
		}
	}
	return n
}

// TestPageInABrowser: a browser draws the page, asks nothing of any network, and prints it.
func TestPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	b := newBrowser(t)
	write := func(name, text string) string {
		path := filepath.Join(b.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// That the proxy would see a request is seen first.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	outside := l.Addr().String()
	l.Close()
	if asked := b.run(write("asks.html", `<img src="http://`+outside+`/picture.png">`), "--screenshot="+filepath.Join(b.dir, "x.png")); !strings.Contains(strings.Join(asked, " "), "/picture.png") {
		t.Fatalf("a page with a picture asks for %q: this test shows nothing", asked)
	}
	_, page := recorded(t, hostile(), 0).said(t)
	hostilePage := write("hostile.html", page)
	_, page = recorded(t, harmless(), 0).said(t)
	harmlessPage := write("harmless.html", page)

	bad, good := color.RGBA{0xb3, 0x26, 0x1e, 255}, color.RGBA{0x14, 0x71, 0x3d, 255}
	for name, c := range map[string]struct {
		page string
		edge color.RGBA
	}{"hostile": {hostilePage, bad}, "harmless": {harmlessPage, good}} {
		img := b.shot(c.page, "--window-size=1200,1600", "--force-device-scale-factor=1")
		if img.Bounds().Dx() != 1200 {
			t.Errorf("%s: %v", name, img.Bounds())
		}
		// The edge of the head is 6 pixels wide and more than a hundred high, and there is dark text.
		if n := pixels(img, c.edge); n < 600 {
			t.Errorf("%s: %d pixels of the color of its outcome", name, n)
		}
		if n := pixels(img, color.RGBA{0x1b, 0x22, 0x30, 255}); n < 1000 {
			t.Errorf("%s: %d pixels of text", name, n)
		}
	}
	pdf := filepath.Join(b.dir, "page.pdf")
	if asked := b.run(hostilePage, "--print-to-pdf="+pdf, "--no-pdf-header-footer"); len(asked) > 0 {
		t.Errorf("printing asks the network for %q", asked)
	}
	if text, err := os.ReadFile(pdf); err != nil || !strings.HasPrefix(string(text), "%PDF-") || len(text) < 10_000 {
		t.Errorf("printed: %d bytes, %v", len(text), err)
	}
	if keep := os.Getenv("CELLOS_TEST_KEEP_PAGE"); keep != "" {
		os.Rename(hostilePage, keep)
	}
}
