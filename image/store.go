package image

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cellos.io/cellos/sysabi"
)

// A Store is a folder of images. Several processes may use one at a time.
//
//	sha256-HEX.erofs   an image, read-only, named after its bytes
//	sha256-HEX.initrd  an initial file system
//	sha256-HEX.vmlinux a kernel that was packed
//	tree-HEX.json      which image a tree became, and how the tree looked then
//	facts-HEX.json     what a kernel said of itself
//	digest-NUMBER.json the digest of a file that is not of the store
//	new-HEX            being written, where a file cannot be without a name
type Store struct{ dir string }

// Open opens a store, and makes it if it is missing. It must be the user's own: whoever can write there decides what guests run.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("opening the image store: %s belongs to somebody else, or others can write to it", dir)
	}
	return &Store{dir}, nil
}

// Dir is the folder.
func (s *Store) Dir() string { return s.dir }

// An Image is a file of the store. It is locked against removal until it is closed.
type Image struct {
	Path   string
	Digest string // "sha256:…" of its bytes
	Size   int64  // bytes
	Made   bool   // by this call
	File   string // the one file in it, if it shows a file and no folder

	lock *os.File
}

// Close lets the image go.
func (i *Image) Close() error { return i.lock.Close() }

// Same reports whether the image is still the file that was opened: the bytes of a file cannot change without its change time.
func (i *Image) Same(now os.FileInfo) bool {
	was, err := i.lock.Stat()
	if err != nil || !os.SameFile(was, now) {
		return false
	}
	a, ok1 := was.Sys().(*syscall.Stat_t)
	b, ok2 := now.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && a.Ctim == b.Ctim && a.Size == b.Size
}

// Descriptor is the open file, for reading.
func (i *Image) Descriptor() *os.File { return i.lock }

// A known tree.
type known struct {
	Tree    string    `json:"tree"`  // path
	Print   string    `json:"print"` // fingerprint
	Digest  string    `json:"digest"`
	File    string    `json:"file,omitempty"`
	Index   string    `json:"index,omitempty"`  // of a view: digest of the file that says where contents lie
	Blocks  int64     `json:"blocks,omitempty"` // of a view: size of its device
	Source  string    `json:"source,omitempty"` // of a kernel: digest of the file that it was packed in; of a file elsewhere: its digest
	Checked time.Time `json:"checked"`
}

// add writes a new file of the store under the name of its digest.
func (s *Store) add(ctx context.Context, ext string, fill func(*os.File) error) (*Image, error) {
	f, link, drop, err := s.fresh()
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	defer drop()
	err = fill(f)
	var digest string
	if err == nil {
		digest, err = digestOf(ctx, f)
	}
	if err == nil {
		err = f.Chmod(0o400)
	}
	path := s.path(digest, ext)
	if err == nil {
		// The same bytes may be there, and in use by a machine: then they stay.
		if err = link(path); taken(err) {
			err = nil
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("making an image: %w", noRoom(err, s.dir))
	}
	f.Close()
	return s.open(digest, ext)
}

// fresh makes a file for a new image or record. Where the file system can, it has no name until it is linked: whoever is killed leaves nothing.
func (s *Store) fresh() (f *os.File, link func(path string) error, drop func(), err error) {
	if fd, err := sysabi.UnnamedFile(s.dir, 0o600); err == nil {
		f := os.NewFile(uintptr(fd), s.dir)
		return f, func(path string) error { return sysabi.LinkFile(fd, path) }, func() {}, nil
	}
	tmp := s.temporary()
	if f, err = os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, nil, nil, err
	}
	drop = func() { os.Remove(tmp) }
	if err := lock(f, false); err != nil {
		f.Close()
		drop()
		return nil, nil, nil, err
	}
	return f, func(path string) error { return os.Link(tmp, path) }, drop, nil
}

// taken reports whether linking met a name that is there.
func taken(err error) bool { return errors.Is(err, fs.ErrExist) || errors.Is(err, sysabi.EEXIST) }

func digestOf(ctx context.Context, f io.ReaderAt) (string, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	if _, err := io.CopyBuffer(h, readStopped{ctx, io.NewSectionReader(f, 0, 1<<62)}, buf); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

type readStopped struct {
	ctx context.Context
	r   io.Reader
}

func (s readStopped) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(b)
}

func (s *Store) path(digest, ext string) string {
	return filepath.Join(s.dir, strings.Replace(digest, ":", "-", 1)+ext)
}

// Image opens an image by its digest.
func (s *Store) Image(digest string) (*Image, error) { return s.open(digest, ".erofs") }

func (s *Store) open(digest, ext string) (*Image, error) {
	path := s.path(digest, ext)
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("opening an image: %w", err)
	}
	fi, err := f.Stat()
	if err == nil {
		err = lock(f, false)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening an image: %w", err)
	}
	return &Image{Path: path, Digest: digest, Size: fi.Size(), lock: f}, nil
}

// lock takes a shared lock, or an exclusive one without waiting.
func lock(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX | syscall.LOCK_NB
	}
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

func (s *Store) read(name string, into any) error {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (s *Store) write(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, link, drop, err := s.fresh()
	if err != nil {
		return err
	}
	defer drop()
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		return err
	}
	path := filepath.Join(s.dir, name)
	if err := link(path); !taken(err) {
		return err
	}
	// Another one takes its place, at once for whoever reads it.
	tmp := s.temporary()
	if err := link(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// temporary is a name that nothing has.
func (s *Store) temporary() string {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return filepath.Join(s.dir, "new-"+hex.EncodeToString(b[:]))
}

// Initramfs returns the initial file system for a kernel: the program as /init, and the kernel's modules.
func (s *Store) Initramfs(ctx context.Context, k Kernel, program *os.File) (*Image, error) {
	fi, err := program.Stat()
	if err != nil {
		return nil, err
	}
	st, _ := fi.Sys().(*syscall.Stat_t)
	dep, err := os.Stat(filepath.Join(k.Modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "3 %q %d %d %d %d %d", k.Modules, dep.ModTime().UnixNano(), st.Ino, st.Dev, st.Size, st.Ctim.Nano())
	key := "initrd-" + hex.EncodeToString(h.Sum(nil)) + ".json"
	var was known
	if s.read(key, &was) == nil {
		if img, err := s.open(was.Digest, ".initrd"); err == nil {
			return img, nil
		}
	}
	files, err := modules(k.Modules)
	if err != nil {
		return nil, err
	}
	data := make([]byte, fi.Size())
	if _, err := program.ReadAt(data, 0); err != nil {
		return nil, fmt.Errorf("reading the guest's program: %w", err)
	}
	var out bytes.Buffer
	if err := writeCPIO(&out, append([]File{{"init", 0o555, data}}, files...)); err != nil {
		return nil, err
	}
	img, err := s.add(ctx, ".initrd", func(f *os.File) error {
		_, err := f.Write(out.Bytes())
		return err
	})
	if err != nil {
		return nil, err
	}
	img.Made = true
	if err := s.write(key, known{Tree: k.Release, Digest: img.Digest, Checked: time.Now()}); err != nil {
		img.Close()
		return nil, err
	}
	return img, nil
}

// Facts reads what a kernel with an initial file system said of itself when it was first started.
func (s *Store) Facts(name string, into any) error { return s.read("facts-"+name+".json", into) }

// SetFacts keeps it.
func (s *Store) SetFacts(name string, v any) error { return s.write("facts-"+name+".json", v) }
