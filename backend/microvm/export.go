//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"cellos.io/cellos/guest"
)

// An export is the file that is being read out of the guest. There is at most one at a time.
type export struct {
	mu   sync.Mutex
	file chan guest.File // where the answer goes; nil: nobody asked
	data *io.PipeWriter  // where its bytes go
	err  error           // why nothing comes any more
}

// Open opens a regular file as the command left it, for exports: after Wait and before Destroy. What it is and what is in it the guest
// says; which file may be read is decided there, by the same rules as those of cells of processes. The next file can be opened when this
// one is closed.
func (c *machineCell) Open(name string) (fs.File, error) {
	if !path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return nil, fmt.Errorf("opening %s: the path is not absolute, or has .. in it", name)
	}
	if !c.plan.Exports {
		return nil, errors.New("the cell's files are not kept")
	}
	r, w := io.Pipe()
	answer, err := c.export.ask(w)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		<-c.over
		err = c.explain(c.heard)
	} else if err == nil {
		if err = c.host.Export(name); err != nil {
			err = c.explain(err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	select {
	case f := <-answer:
		if f.Error != "" {
			// It says what it was doing, as the host does.
			return nil, fmt.Errorf("the guest says: %s", f.Error)
		}
		return &guestFile{r, fileInfo{path.Base(name), f}, c}, nil
	case <-c.over:
		return nil, fmt.Errorf("opening %s: %w", name, c.explain(c.heard))
	}
}

// ask makes room for an answer.
func (x *export) ask(to *io.PipeWriter) (<-chan guest.File, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return nil, x.err
	}
	if x.data != nil || x.file != nil {
		return nil, errors.New("another file is being read")
	}
	x.file, x.data = make(chan guest.File, 1), to
	return x.file, nil
}

// hear takes FILE and DATA. It waits for the reader of the file, and so does the guest.
func (x *export) hear(e guest.Event) {
	x.mu.Lock()
	file, data := x.file, x.data
	x.file = nil
	x.mu.Unlock()
	over := e.Type == guest.TypeFile && e.File.Error != ""
	if e.Type == guest.TypeData {
		data.Write(e.Data) // a reader that is gone takes nothing, and the rest comes to an end
		if over = e.Last; over {
			data.Close()
		}
	}
	if over {
		x.mu.Lock()
		x.data = nil
		x.mu.Unlock()
	}
	if file != nil {
		file <- e.File // has room
	}
}

// end tells the reader that the guest is gone.
func (x *export) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = err
	if x.data != nil {
		x.data.CloseWithError(err)
	}
}

// A guestFile is read as it comes.
type guestFile struct {
	*io.PipeReader
	info fileInfo
	cell *machineCell
}

// Read reads. An end before the file's says why the guest was heard no more.
func (f *guestFile) Read(b []byte) (int, error) {
	n, err := f.PipeReader.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		<-f.cell.over
		err = fmt.Errorf("reading %s: %w", f.info.name, f.cell.explain(f.cell.heard))
	}
	return n, err
}

func (f *guestFile) Stat() (fs.FileInfo, error) { return f.info, nil }

type fileInfo struct {
	name string
	file guest.File
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.file.Size }
func (i fileInfo) Mode() fs.FileMode  { return fs.FileMode(i.file.Mode & 0o777) }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }
