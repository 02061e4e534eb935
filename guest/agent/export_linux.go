//go:build linux && (amd64 || arm64)

package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"cellos.io/cellos/cell"
	"cellos.io/cellos/guest"
)

// export sends a file of the cell as the command left it. The error is the channel's: what is wrong with the file is told to the host.
func (m *machine) export(c cell.Cell, path string) error {
	f, fi, err := openIn(c, path)
	if err != nil {
		return m.say(guest.TypeFile, guest.File{Error: err.Error()})
	}
	defer f.Close()
	if err := m.say(guest.TypeFile, guest.File{Size: fi.Size(), Mode: uint32(fi.Mode().Perm())}); err != nil {
		return err
	}
	to := bufio.NewWriterSize(part{m, guest.TypeData}, guest.MaxData)
	n, err := io.Copy(to, io.LimitReader(f, fi.Size()))
	if err == nil && n != fi.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return m.say(guest.TypeError, guest.Problem{Text: fmt.Sprintf("reading %s: %v", path, err)})
	}
	return errors.Join(to.Flush(), m.send(guest.TypeData, []byte{1}))
}

// openIn opens a file of the cell.
func openIn(c cell.Cell, path string) (fs.File, fs.FileInfo, error) {
	o, ok := c.(interface {
		Open(string) (fs.File, error)
	})
	if !ok {
		return nil, nil, errors.New("the cell does not open its files")
	}
	f, err := o.Open(path)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
	}
	return f, fi, err
}

// A part is a writer that makes frames of one type: whether this is the last part, and bytes.
type part struct {
	m *machine
	t guest.Type
}

func (p part) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		k := min(len(b), guest.MaxData)
		if err := p.m.send(p.t, []byte{0}, b[:k]); err != nil {
			return n, err
		}
		b, n = b[k:], n+k
	}
	return n, nil
}
