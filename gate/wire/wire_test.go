package wire

import (
	"os"
	"syscall"
	"testing"
)

// Descriptors come with the message that they were sent with, however the bytes come.
func TestFiles(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*Conn
	for i := range ends {
		if ends[i], err = NewConn(os.NewFile(uintptr(fds[i]), "end")); err != nil {
			t.Fatal(err)
		}
		defer ends[i].Close()
	}
	one, two := ring(t), ring(t)
	one.WriteString("one")
	two.WriteString("two")
	for _, send := range []struct {
		kind  string
		files []*os.File
	}{{Prepare, nil}, {Open, []*os.File{one, two}}, {Release, nil}, {Close, []*os.File{two}}} {
		if err := ends[0].Send(Message{Kind: send.kind}, send.files...); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for range 4 {
		m, files, err := ends[1].Receive()
		if err != nil {
			t.Fatal(err)
		}
		got += m.Kind
		for _, f := range files {
			b := make([]byte, 3)
			if _, err := f.ReadAt(b, 0); err != nil {
				t.Error(err)
			}
			got += " " + string(b)
			f.Close()
		}
		got += "\n"
	}
	if want := "prepare\nopen one two\nrelease\nclose two\n"; got != want {
		t.Errorf("received\n%s\nwant\n%s", got, want)
	}
}
