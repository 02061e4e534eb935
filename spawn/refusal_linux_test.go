//go:build amd64 || arm64

package spawn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"cellos.io/cellos/sysabi"
	"cellos.io/cellos/table"
)

const victimVariable = "CELLOS_SPAWN_TEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(makerVariable) != "" {
		prepareAndHold()
	}
	if os.Getenv(victimVariable) == "" {
		os.Exit(m.Run())
	}
	// The filter is for this thread only: a C library under the race detector could not make threads any more.
	runtime.LockOSThread()
	code, _ := strconv.Atoi(os.Getenv(victimVariable))
	filter := refusing(sysabi.Errno(code))
	prog := struct {
		n uint16
		p *byte
	}{uint16(len(filter) / 8), &filter[0]}
	for _, a := range [][2]uintptr{{38, 1}, {22, 2}} { // PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
		if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, a[0], a[1], uintptr(unsafe.Pointer(&prog))*(1-a[1]%2), 0, 0, 0); e != 0 {
			fmt.Println("loading the filter:", e)
		}
	}
	_, err := Start(Request{Table: table.Table{executing("/bin/true")}, Namespaces: sysabi.CLONE_NEWUTS})
	fmt.Println(errors.Is(err, errors.ErrUnsupported), err)
}

// refusing returns a filter that answers clone3 with an error: ld [nr]; jeq #435, 0, 1; ret ERRNO|e; ret ALLOW.
func refusing(e sysabi.Errno) []byte {
	var b bytes.Buffer
	for _, i := range []uint64{0x20, 0x15 | 1<<24 | sysClone3<<32, 0x06 | (0x50000|uint64(e))<<32, 0x06 | 0x7fff0000<<32} {
		binary.Write(&b, binary.LittleEndian, i)
	}
	return b.Bytes()
}

// TestUnsupported runs this program under a filter that refuses clone3, as old container runtimes do.
func TestUnsupported(t *testing.T) {
	requireClone3(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []sysabi.Errno{sysabi.ENOSYS, sysabi.EPERM} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, Request{Handed: map[string]int{"out": int(w.Fd())}, Table: table.Table{
			dup("out", 1, 0), unblock(),
			{Name: "executing this program", Call: "execve", Args: []table.Arg{table.Path(self), table.Strings([]string{"victim"}), table.Strings([]string{fmt.Sprintf("%s=%d", victimVariable, e)})}},
		}})
		w.Close()
		b, err := io.ReadAll(r)
		r.Close()
		if s, e := p.Wait(); err != nil || e != nil || s.Code != 0 {
			t.Errorf("%v %v %v", s, e, err)
		}
		want := "true clone3 needs Linux 5.3, and a container or filter that does not refuse it (" + e.Error() + ")"
		if got := strings.TrimSpace(string(b)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCloneError(t *testing.T) {
	requireClone3(t)
	_, err := Start(Request{Cgroup: 1 << 20, Namespaces: sysabi.CLONE_NEWUSER | sysabi.CLONE_NEWNET, Table: table.Table{executing("/bin/true")}})
	var e *CloneError
	if !errors.As(err, &e) || !errors.Is(err, sysabi.EBADF) || errors.Is(err, errors.ErrUnsupported) ||
		err.Error() != "making a process with new namespaces (user, net) in a cgroup: bad file descriptor" {
		t.Errorf("got %v", err)
	}
}
