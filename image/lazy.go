package image

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	erofs "github.com/erofs/go-erofs"
)

// A View is the image of a tree whose contents stay where they are: the image has only names and attributes, and says of each file where
// in a second block device its content lies. That device is the View itself, which reads the files when a guest does. A file that is not
// what it was when the view was made cannot be read: what the guest gets is what the names were made of, or an error.
//
// It is for the machine's own folders, which are too large to be copied before the first run, and mostly not looked at.
type View struct {
	*Image       // names and attributes
	Blocks int64 // size of the device, in blocks of 4096 bytes

	index *Image
	root  *os.Root
	count int64

	mu    sync.Mutex
	name  string // of the open file
	file  *os.File
	stale func()
}

// The index of a view is a sorted table of the files and the names behind it:
//
//	records   u64 first block, u64 size, i64 mtime, u64 position of the name
//	names     u16 length, bytes
//	u64       number of records
const recordSize = 32

// A placed file is one line of the index.
type placed struct {
	block, size, mtime int64
	name               string
}

// DeviceBlocks, BlockSize and BuildTime are what the writer asks of a source whose data lies elsewhere.
type viewed struct {
	*source
	files []placed
	next  int64
}

func (v *viewed) DeviceBlocks() uint64 { return uint64(1 << 31) } // more than any file system has; its end is not known yet
func (v *viewed) BlockSize() uint32    { return block }

// ReadDir gives every file its place.
func (v *viewed) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := v.source.ReadDir(name)
	for i, d := range list {
		fi, err := d.Info()
		if err != nil {
			return nil, err
		}
		if fi.Mode().IsRegular() && fi.Size() > 0 {
			p := filepath.Join(name, d.Name())
			v.files = append(v.files, placed{v.next, fi.Size(), fi.ModTime().UnixNano(), p})
			list[i] = fs.FileInfoToDirEntry(located{fi.(info), v.next * block})
			v.next += (fi.Size() + block - 1) / block
		}
	}
	return list, err
}

// A located file knows where its content lies.
type located struct {
	info
	at int64
}

// DataRange is what the writer asks for.
func (l located) DataRange() []erofs.DataRange {
	return []erofs.DataRange{{Offset: l.at, Size: l.Size()}}
}

// View returns the view of a tree, made now if there is none or the tree has changed as far as Want says.
func (s *Store) View(ctx context.Context, w Want) (*View, error) {
	src, err := w.source()
	if err != nil {
		return nil, err
	}
	defer src.letGo()
	ok := false
	defer func() {
		if !ok {
			src.root.Close()
		}
	}()
	name := "view-" + w.key() + ".json"
	print, _, err := src.fingerprint(w)
	if err != nil {
		return nil, err
	}
	var k known
	if s.read(name, &k) == nil && k.Print == print {
		v := &View{Blocks: k.Blocks, root: src.root, stale: func() { os.Remove(filepath.Join(s.dir, name)) }}
		if v.Image, err = s.Image(k.Digest); err == nil {
			if v.index, err = s.open(k.Index, ".index"); err == nil {
				ok = true
				return v, v.open()
			}
			v.Image.Close()
		}
	}
	t := &viewed{source: src}
	v := &View{root: src.root, stale: func() { os.Remove(filepath.Join(s.dir, name)) }}
	v.Image, err = s.add(ctx, ".erofs", func(f *os.File) error {
		out := &sparse{f: f}
		img := erofs.Create(stopped{ctx, out}, erofs.WithBuildTime(0, 0))
		if err := img.CopyFrom(t, erofs.MetadataOnly()); err != nil {
			return err
		}
		return errors.Join(img.Close(), out.finish())
	})
	if err != nil {
		return nil, err
	}
	v.Made, v.Blocks = true, t.next
	v.index, err = s.add(ctx, ".index", func(f *os.File) error { return writeIndex(f, t.files) })
	if err == nil {
		err = s.write(name, known{Tree: w.Path, Print: print, Digest: v.Digest, Index: v.index.Digest, Blocks: t.next, Checked: time.Now()})
	}
	if err != nil {
		v.Image.Close()
		return nil, err
	}
	ok = true
	return v, v.open()
}

func writeIndex(w io.Writer, files []placed) error {
	slices.SortFunc(files, func(a, b placed) int { return int(min(1, max(-1, a.block-b.block))) })
	b := bufio.NewWriterSize(w, 1<<20)
	at := int64(len(files)) * recordSize
	var rec [recordSize]byte
	for _, f := range files {
		for i, n := range []int64{f.block, f.size, f.mtime, at} {
			binary.LittleEndian.PutUint64(rec[8*i:], uint64(n))
		}
		b.Write(rec[:])
		at += 2 + int64(len(f.name))
	}
	for _, f := range files {
		b.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(f.name))))
		b.WriteString(f.name)
	}
	b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(files))))
	return b.Flush()
}

func (v *View) open() error {
	var n [8]byte
	if _, err := v.index.lock.ReadAt(n[:], v.index.Size-8); err != nil {
		return fmt.Errorf("reading the index of an image: %w", err)
	}
	v.count = int64(binary.LittleEndian.Uint64(n[:]))
	if v.count < 0 || v.count > v.index.Size/recordSize {
		return errors.New("reading the index of an image: it is damaged")
	}
	return nil
}

// Close lets the view go.
func (v *View) Close() error {
	v.mu.Lock()
	if v.file != nil {
		v.file.Close()
		v.file = nil
	}
	v.mu.Unlock()
	return errors.Join(v.root.Close(), v.index.Close(), v.Image.Close())
}

// record reads line i of the index, without its name.
func (v *View) record(i int64) (p placed, at int64, err error) {
	var rec [recordSize]byte
	if _, err := v.index.lock.ReadAt(rec[:], i*recordSize); err != nil {
		return p, 0, err
	}
	n := func(j int) int64 { return int64(binary.LittleEndian.Uint64(rec[8*j:])) }
	return placed{block: n(0), size: n(1), mtime: n(2)}, n(3), nil
}

// find returns the last file that begins at or before a block.
func (v *View) find(b int64) (placed, bool, error) {
	lo, hi := int64(0), v.count
	for lo < hi {
		mid := (lo + hi) / 2
		p, _, err := v.record(mid)
		if err != nil {
			return placed{}, false, err
		}
		if p.block <= b {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return placed{}, false, nil
	}
	p, at, err := v.record(lo - 1)
	if err != nil {
		return p, false, err
	}
	var n [2]byte
	if _, err := v.index.lock.ReadAt(n[:], at); err != nil {
		return p, false, err
	}
	name := make([]byte, binary.LittleEndian.Uint16(n[:]))
	if _, err := v.index.lock.ReadAt(name, at+2); err != nil {
		return p, false, err
	}
	p.name = string(name)
	return p, true, nil
}

// ReadAt reads the device. What is no file's reads as zero.
func (v *View) ReadAt(b []byte, off int64) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for done := 0; done < len(b); {
		at := off + int64(done)
		p, ok, err := v.find(at / block)
		if err != nil {
			return done, err
		}
		rest := b[done:]
		if !ok {
			return done, fmt.Errorf("block %d is no file's", at/block)
		}
		within := at - p.block*block
		room := (p.size+block-1)/block*block - within // to the end of the file's last block
		if room <= 0 {
			clear(rest)
			return len(b), nil // behind the last file
		}
		rest = rest[:min(int64(len(rest)), room)]
		if err := v.readFile(p, rest, within); err != nil {
			return done, err
		}
		done += len(rest)
	}
	return len(b), nil
}

// readFile reads a piece of a file that is still what it was.
func (v *View) readFile(p placed, b []byte, off int64) error {
	if v.file == nil || v.name != p.name {
		if v.file != nil {
			v.file.Close()
		}
		f, err := v.root.OpenFile(p.name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			v.file = nil
			if !errors.Is(err, fs.ErrPermission) {
				v.stale()
			}
			return err
		}
		v.file, v.name = f, p.name
	}
	n, err := v.file.ReadAt(b[:max(0, min(int64(len(b)), p.size-off))], off)
	if err != nil && err != io.EOF {
		return err
	}
	clear(b[n:])
	fi, err := v.file.Stat()
	if err != nil || fi.Size() != p.size || fi.ModTime().UnixNano() != p.mtime {
		v.stale()
		return &Changed{p.name}
	}
	return nil
}
