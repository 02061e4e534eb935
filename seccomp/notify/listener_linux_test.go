package notify

import (
	"runtime"
	"sync"
	"testing"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// TestServe has a thread make calls under a filter that hands numbers 700 to 703 over, and answers them.
func TestServe(t *testing.T) {
	prog := seccomp.Program{{Code: 0x20}, {Code: 0x35, JF: 2, K: 700}, {Code: 0x35, JT: 1, K: 704}, {Code: 6, K: uint32(seccomp.Notify)}, {Code: 6, K: uint32(seccomp.Allow)}}
	fds, results := make(chan int), make(chan sysabi.Errno)
	var ask [4]chan struct{}
	for i := range ask {
		ask[i] = make(chan struct{})
	}
	go func() {
		runtime.LockOSThread() // the filter stays: the thread ends with the goroutine
		if err := sysabi.SetNoNewPrivs(); err != nil {
			t.Error(err)
		}
		fd, err := sysabi.SeccompSetFilter(sysabi.SECCOMP_FILTER_FLAG_NEW_LISTENER, prog.Bytes())
		if err != nil {
			t.Error(err)
		}
		fds <- fd
		for i, a := range ask {
			<-a
			_, errno := sysabi.RawCall(uintptr(700+i), [6]uintptr{1, 2, 3, 4, 5, uintptr(i)})
			results <- errno
		}
		close(results)
	}()
	l, err := New(<-fds)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var calls []Call
	served := make(chan error, 1)
	go func() {
		served <- l.Serve(func(c Call) Answer {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
			switch c.NR {
			case 700:
				return Refuse(sysabi.EPERM)
			case 701:
				return Continue()
			}
			return Answer{}
		})
	}()
	a, _ := sysabi.ArchByName(runtime.GOARCH)
	for i, want := range []sysabi.Errno{sysabi.EPERM, sysabi.ENOSYS, sysabi.ENOSYS, sysabi.ENOSYS} { // 701 is made, and the kernel knows no such call
		if i == 3 {
			l.Close() // then the kernel itself answers
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		}
		close(ask[i])
		if got := <-results; got != want {
			t.Errorf("call %d: %v, want %v", 700+i, got, want)
		}
	}
	if len(calls) != 3 || calls[2].NR != 702 || calls[2].Args != [6]uint64{1, 2, 3, 4, 5, 2} || calls[0].Arch != a.Audit() || calls[0].TID == 0 {
		t.Errorf("%+v", calls)
	}
}

func TestTakes(t *testing.T) {
	for text, want := range map[string]bool{
		"SigCgt:\t0000000040000000\nSigIgn:\t0000000000000000\nSigBlk:\t0000000000000000\n": true,
		"SigCgt:\t0000000000000000\nSigIgn:\t0000000000000000\nSigBlk:\t0000000040000000\n": true,
		"SigCgt:\t0000000080000000\nSigIgn:\t0000000020000000\nSigBlk:\t0000000000000000\n": false,
		"": true,
	} {
		if got := takes(text, sysabi.SIGSYS); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
