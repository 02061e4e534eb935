//go:build linux && (amd64 || arm64)

package microvm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"cellos.io/cellos/guest"
	"cellos.io/cellos/image"
)

// A disk is the one block device of a machine that is booted before anybody knows which images its cell needs. It is larger than anything
// that will ever be on it; images get their places when they are known, and the guest makes devices of these places (guest.Part). What
// lies elsewhere reads as zeros, which is all that a kernel finds that looks for partitions.
type disk struct {
	mu    sync.RWMutex
	parts []diskPart
}

type diskPart struct {
	Part  guest.Part
	Image string // digest
	Data  bool   // what is in the files of a view, and not its image
	from  io.ReaderAt
}

// Sizes of a disk. A place is a multiple of the distance, so that nothing depends on how large the others are.
const (
	diskSize     = 1 << 50
	diskDistance = 1 << 42
	maxDiskParts = diskSize/diskDistance - 2 // the first place is left to those who look for partitions
)

// serial is the number of the disk.
const diskSerial = "view"

// place puts an image on the disk, unless it is there, and reports whether it was.
func (d *disk) place(digest string, data bool, from io.ReaderAt, size int64) (p guest.Part, there bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	size = (max(size, 1) + 4095) &^ 4095
	for i := range d.parts {
		if x := &d.parts[i]; x.Image == digest && x.Data == data && x.Part.Size == size {
			x.from = from
			return x.Part, true, nil
		}
	}
	if size > diskDistance || len(d.parts) >= maxDiskParts {
		return p, false, fmt.Errorf("putting the image %s on the machine's disk: it has %d bytes and would be number %d; at most %d, and %d images, are possible",
			digest, size, len(d.parts)+1, int64(diskDistance), maxDiskParts)
	}
	n := int64(len(d.parts) + 1)
	p = guest.Part{Serial: "part" + strconv.FormatInt(n, 10), Device: diskSerial, Start: n * diskDistance, Size: size}
	d.parts = append(d.parts, diskPart{p, digest, data, from})
	return p, false, nil
}

// again is a disk with the places that another process gave out. What is there reads as errors until place says where it comes from.
func again(parts []diskPart) (*disk, error) {
	d := &disk{}
	for _, p := range parts {
		if got, _, err := d.place(p.Image, p.Data, nobodys{}, p.Part.Size); err != nil || got != p.Part {
			return nil, errors.Join(err, fmt.Errorf("the machine's disk has %v where %v would be", p.Part, got))
		}
	}
	return d, nil
}

type nobodys struct{}

func (nobodys) ReadAt([]byte, int64) (int, error) {
	return 0, errors.New("the machine's disk: nobody has this image any more")
}

// ReadAt reads what a guest asks for.
func (d *disk) ReadAt(b []byte, off int64) (int, error) {
	d.mu.RLock()
	n := off/diskDistance - 1
	var p diskPart
	if n >= 0 && n < int64(len(d.parts)) {
		p = d.parts[n]
	}
	d.mu.RUnlock()
	if at := off - p.Part.Start; p.from != nil && at+int64(len(b)) <= p.Part.Size {
		return p.from.ReadAt(b, at)
	}
	clear(b)
	return len(b), nil
}

// device is the serial number by which the guest finds the n-th image.
func (c *machineCell) device(b Backend, n int, img *image.Image, fi os.FileInfo) (string, error) {
	if c.disk == nil {
		return b.Monitor.Serial(n, fi), nil
	}
	return c.place(img.Digest, false, img.Descriptor(), img.Size)
}

// viewDevice is that of the device with the contents of the system's files.
func (c *machineCell) viewDevice() (string, error) {
	if c.disk == nil {
		return "view", nil
	}
	return c.place(c.view.Digest, true, c.view, c.view.Blocks*4096)
}

// place puts an image on the machine's disk. The guest is told of it, if it does not know it from before.
func (c *machineCell) place(digest string, data bool, from io.ReaderAt, size int64) (string, error) {
	p, there, err := c.disk.place(digest, data, from, size)
	if err == nil && !there {
		c.parts = append(c.parts, p)
	}
	return p.Serial, err
}

// A diskServer serves a disk to the monitor over NBD, and can stop between two requests, so that another process goes on.
type diskServer struct {
	conn *net.UnixConn
	nbd  *nbdServer
	done chan struct{} // closed when nobody serves any more
	err  error         // why; read after done
}

// serveDisk begins to serve. Greeted: the client has negotiated, with whoever served it before.
func serveDisk(conn *net.UnixConn, d *disk, greeted bool) *diskServer {
	s := &diskServer{conn: conn, nbd: &nbdServer{conn: conn, device: d, size: diskSize}, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if !greeted {
			if s.err = s.nbd.negotiate(); s.err != nil {
				return
			}
		}
		s.err = s.nbd.serve()
	}()
	return s
}

// pause stops serving at a moment when nothing was asked that is not answered.
func (s *diskServer) pause() error {
	s.conn.SetReadDeadline(time.Unix(1, 0))
	<-s.done
	if !errors.Is(s.err, errQuiet) {
		return fmt.Errorf("stopping to serve the machine's disk: it is not at rest: %w", s.err)
	}
	return nil
}

// errQuiet is a deadline that passed between two requests.
var errQuiet = fmt.Errorf("nothing is asked: %w", os.ErrDeadlineExceeded)

func (s *diskServer) close() {
	s.conn.Close()
	<-s.done
}
