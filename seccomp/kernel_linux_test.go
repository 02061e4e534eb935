package seccomp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"cellos.io/cellos/sysabi"
)

// helperVar names the helper that this binary, executed again, is to be. Filters cannot be taken off, so they are loaded there.
const helperVar = "CELLOS_SECCOMP_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVar) {
	case "":
		os.Exit(m.Run())
	case "check":
		os.Exit(exitStatus(checkHelper(os.Stdin, os.Stdout)))
	case "run":
		os.Exit(exitStatus(runHelper(os.Stdin, os.Stdout)))
	case "stack":
		os.Exit(exitStatus(stackHelper(os.Stdin, os.Stdout)))
	}
	os.Exit(2)
}

func exitStatus(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// server is this binary as a helper, answering one request after the other.
type server struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t testing.TB, helper string) *server {
	t.Helper()
	s := &server{cmd: exec.Command(os.Args[0])}
	s.cmd.Env = append(os.Environ(), helperVar+"="+helper, "GODEBUG=asyncpreemptoff=1")
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReaderSize(out, 1<<16)
	t.Cleanup(func() {
		s.in.Close()
		s.cmd.Wait()
	})
	return s
}

// frame is a request: its length as 32 bits, and its bytes.
func frame(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.LittleEndian.Uint32(n[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// checkHelper asks the kernel about programs without loading them: with TSYNC it checks the program, then finds a thread that
// cannot follow because it has a filter of its own, and answers that thread's id (kernel/seccomp.c:seccomp_attach_filter).
func checkHelper(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := sysabi.SetNoNewPrivs()
		if err == nil {
			_, err = sysabi.SeccompSetFilter(0, Program{{Code: opRet, K: uint32(Allow)}}.Bytes())
		}
		ready <- err
		select {}
	}()
	if err := <-ready; err != nil {
		return fmt.Errorf("loading a filter into a thread: %w", err)
	}
	if err := sysabi.SetNoNewPrivs(); err != nil {
		return err
	}
	r, w := bufio.NewReaderSize(in, 1<<16), bufio.NewWriter(out)
	for {
		b, err := readFrame(r)
		if err == io.EOF {
			return w.Flush()
		}
		if err != nil {
			return err
		}
		answer := byte(0)
		switch tid, err := sysabi.SeccompSetFilter(sysabi.SECCOMP_FILTER_FLAG_TSYNC, b); {
		case err == nil && tid > 0:
			answer = 'y'
		case errors.Is(err, sysabi.EINVAL):
			answer = 'n'
		default:
			return fmt.Errorf("the kernel answered %d, %v", tid, err)
		}
		if err := w.WriteByte(answer); err != nil {
			return err
		}
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// accepts asks the kernel about many programs and calls verdict for each.
func (s *server) accepts(t testing.TB, n int, program func(i int) Program, verdict func(p Program, yes bool)) {
	const batch = 512
	for done := 0; done < n; {
		var request []byte
		var sent []Program
		for len(sent) < batch && done+len(sent) < n && len(request) < 48<<10 {
			p := program(done + len(sent))
			sent = append(sent, p)
			request = append(request, frame(p.Bytes())...)
		}
		go s.in.Write(request)
		for _, p := range sent {
			b, err := s.out.ReadByte()
			if err != nil {
				t.Fatalf("the helper ended: %v", err)
			}
			verdict(p, b == 'y')
		}
		done += len(sent)
	}
}

// programs is how many random programs a test tries: few by default, and what CELLOS_SECCOMP_PROGRAMS says in the long run.
func programs(t testing.TB, standard int) int {
	if n, err := strconv.Atoi(os.Getenv("CELLOS_SECCOMP_PROGRAMS")); err == nil {
		return n
	}
	if testing.Short() {
		return standard / 10
	}
	return standard
}

// TestCheckAgreesWithKernel: CELLOS_SECCOMP_PROGRAMS=200000 go test -run CheckAgreesWithKernel is the long run.
func TestCheckAgreesWithKernel(t *testing.T) {
	s := start(t, "check")
	n := programs(t, 20000)
	g := generator{rand.New(rand.NewPCG(1, 2))}
	special := specialPrograms()
	yes, bad := 0, 0
	s.accepts(t, n+len(special), func(i int) Program {
		if i < len(special) {
			return special[i]
		}
		return g.program()
	}, func(p Program, ok bool) {
		if ok {
			yes++
		}
		if err := p.Check(); (err == nil) != ok && bad < 5 {
			bad++
			t.Errorf("the kernel accepts it: %v; Check: %v\n%s", ok, err, p.Disassemble(nil))
		}
	})
	t.Logf("%d programs, %d accepted", n+len(special), yes)
	if yes < n/4 || yes > n*9/10 {
		t.Errorf("%d of %d programs accepted: the generator tries too little", yes, n)
	}
}

func FuzzCheckAgreesWithKernel(f *testing.F) {
	for _, name := range Profiles() {
		b, err := ProfileBytes(name, sysabi.Arches()[0])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, p := range specialPrograms() {
		if len(p) > 2 && len(p) < 64 {
			f.Add(p.Bytes())
		}
	}
	s := start(f, "check")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProgram(b)
		if err != nil {
			t.Skip()
		}
		s.accepts(t, 1, func(int) Program { return p }, func(p Program, ok bool) {
			if err := p.Check(); (err == nil) != ok {
				t.Errorf("the kernel accepts it: %v; Check: %v\n%s", ok, err, p.Disassemble(nil))
			}
		})
	})
}
