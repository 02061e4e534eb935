package stream

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullOutputEndsWriting: behind the limit a writer meets a closed pipe, it does not block.
func TestFullOutputEndsWriting(t *testing.T) {
	full := make(chan bool, 1)
	r, err := Connect(Ends{Out: file(t)}, Options{Limit: 10, Full: func() { full <- true }})
	must(t, err)
	e := cell(t, r)
	if _, err := e.Out.Write(random(4 << 20)); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing beyond the limit: %v", err)
	}
	<-full
	e.close()
	must(t, r.Finish())
}

// TestReaderGoesAway: the command notices, as it would without us; it is no error of the run.
func TestReaderGoesAway(t *testing.T) {
	for _, o := range []Options{{Limit: 1 << 30}, {Owner: &Owner{os.Getuid(), os.Getgid()}}} {
		reader, writer := pipe(t)
		r, err := Connect(Ends{Out: writer}, o)
		must(t, err)
		e := cell(t, r)
		reader.Close()
		var werr error
		for range 1000 {
			if _, werr = e.Out.Write(make([]byte, 4096)); werr != nil {
				break
			}
		}
		if !errors.Is(werr, syscall.EPIPE) {
			t.Errorf("%+v: writing to nobody: %v", o, werr)
		}
		e.close()
		if err := r.Finish(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestFullDisk: what cannot be passed on is an error of the run.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	for _, o := range []Options{{Limit: 1 << 30}, {Owner: &Owner{os.Getuid(), os.Getgid()}}} {
		r, err := Connect(Ends{Out: full}, o)
		must(t, err)
		e := cell(t, r)
		e.Out.WriteString("x")
		e.close()
		if err := r.Finish(); !errors.Is(err, syscall.ENOSPC) || err.Error() != "passing on the command's output: write /dev/full: no space left on device" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestOwner: the pipes of the outputs belong to the cell's user, who can open them again.
func TestOwner(t *testing.T) {
	o := Owner{os.Getuid(), os.Getgid()}
	if o.UID == 0 {
		o = Owner{1879050000, 1879050001}
	}
	r, err := Connect(Ends{Out: file(t), Err: file(t)}, Options{Owner: &o})
	must(t, err)
	for _, f := range []*os.File{r.Cell.Out, r.Cell.Err} {
		var st unix.Stat_t
		must(t, unix.Fstat(int(f.Fd()), &st))
		if st.Uid != uint32(o.UID) || st.Gid != uint32(o.GID) {
			t.Errorf("the pipe belongs to %d:%d", st.Uid, st.Gid)
		}
	}
	r.Start()
	must(t, r.Finish())
	if os.Getuid() != 0 {
		if _, err := Connect(Ends{Out: file(t)}, Options{Owner: &Owner{1, 1}}); err == nil || !strings.HasPrefix(err.Error(), "making pipes for the standard streams: ") {
			t.Errorf("giving a pipe away: %v", err)
		}
	}
}
