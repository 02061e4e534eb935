package seccomp

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"cellos.io/cellos/sysabi"
)

// The kernel's verdict is seen as the error number of a call that does not exist. A program under test is wrapped so that it
// decides on that call only, and so that 12 bits of what it would return come back as the error number.
const (
	firstNumber = 700 // no system call
	perThread   = 64  // filters a thread gets before it is thrown away
	argSets     = 4
)

// wrap makes the program that answers (value >> shift) & 0xfff for the number nr and allows everything else.
func wrap(p Program, nr uint32, shift uint32) Program {
	w := Program{
		{Code: opLoad, K: offNR}, {Code: opJEQ, JT: 1, K: nr}, {Code: opRet, K: uint32(Allow)}, {Code: opLoadImm},
	}
	for pc, i := range p {
		switch i.Code {
		case opRet:
			i.K = uint32(errnoAction) | i.K>>shift&0xfff
		case opRetA:
			i = Instruction{Code: opJump, K: uint32(len(p) - pc - 1)}
		}
		w = append(w, i)
	}
	return append(w, Instruction{Code: 0x74, K: shift}, Instruction{Code: opAnd, K: 0xfff}, Instruction{Code: 0x44, K: uint32(errnoAction)}, Instruction{Code: opRetA})
}

// runHelper answers frames of shift and arguments (8 bytes each) followed by a program: the number of the call as 32 bits, then the
// error numbers.
func runHelper(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	for {
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlock: the thread ends with its filters
			done <- runThread(r, w)
		}()
		if err := <-done; err == io.EOF {
			return w.Flush()
		} else if err != nil {
			return err
		}
	}
}

func runThread(r *bufio.Reader, w *bufio.Writer) error {
	if err := sysabi.SetNoNewPrivs(); err != nil {
		return err
	}
	for nr := uint32(firstNumber); nr < firstNumber+perThread; nr++ {
		b, err := readFrame(r)
		if err != nil {
			return err
		}
		word := func() (v uint64) { v, b = binary.LittleEndian.Uint64(b), b[8:]; return }
		shift := uint32(word())
		var args [argSets][6]uintptr
		for i := range args {
			for j := range args[i] {
				args[i][j] = uintptr(word())
			}
		}
		p, err := ParseProgram(b)
		if err != nil {
			return err
		}
		if _, err := sysabi.SeccompSetFilter(0, wrap(p, nr, shift).Bytes()); err != nil {
			return fmt.Errorf("loading a program: %w", err)
		}
		answer := binary.LittleEndian.AppendUint32(nil, nr)
		for i := range args {
			_, errno := sysabi.RawCall(uintptr(nr), args[i])
			answer = binary.LittleEndian.AppendUint32(answer, uint32(errno))
		}
		if _, err := w.Write(answer); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// runnable returns a program that the kernel takes and that does not look at the instruction pointer.
func (g generator) runnable() Program {
	for {
		p := g.program()
		for pc := range p {
			if p[pc].Code == opLoad && (p[pc].K == offIP || p[pc].K == offIP+4) {
				p[pc].K = offArgs
			}
		}
		if p.Check() == nil {
			return p
		}
	}
}

func TestInterpreterAgreesWithKernel(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" && runtime.GOARCH != "riscv64" {
		t.Skip("no system call table for " + runtime.GOARCH)
	}
	s := start(t, "run")
	g := generator{rand.New(rand.NewPCG(3, 4))}
	covered := map[uint16]int{}
	runs, skipped := 0, 0
	for range programs(t, 20000) / 4 {
		p := g.runnable()
		shift := []uint32{0, 12, 20}[g.r.IntN(3)]
		request := binary.LittleEndian.AppendUint64(nil, uint64(shift))
		var data [argSets]Data
		dies := false
		for i := range data {
			data[i].Arch = sysabi.NativeArch().Audit()
			for j := range data[i].Args {
				v := uint64(g.word()) | uint64(g.word())<<32
				data[i].Args[j] = v
				request = binary.LittleEndian.AppendUint64(request, v)
			}
			for nr := uint32(firstNumber); nr < firstNumber+perThread && !dies; nr++ {
				data[i].NR = nr
				o, err := p.Run(data[i])
				if err != nil {
					t.Fatal(err)
				}
				dies = p[o.PC].Code&classMask != classRET
			}
		}
		if dies { // a division by zero would kill the helper's thread
			skipped++
			continue
		}
		if _, err := s.in.Write(frame(append(request, p.Bytes()...))); err != nil {
			t.Fatal(err)
		}
		var answer [4 + 4*argSets]byte
		if _, err := io.ReadFull(s.out, answer[:]); err != nil {
			t.Fatalf("the helper ended: %v", err)
		}
		for i := range data {
			data[i].NR = binary.LittleEndian.Uint32(answer[:])
			o, path, err := p.Trace(data[i])
			if err != nil {
				t.Fatal(err)
			}
			for _, pc := range path {
				covered[p[pc].Code]++
			}
			runs++
			want := binary.LittleEndian.Uint32(answer[4+4*i:])
			if got := uint32(o.Action) >> shift & 0xfff; got != want {
				t.Fatalf("%+v: we return %#x, so %#x; the kernel answers %#x\n%s", data[i], uint32(o.Action), got, want, p.Disassemble(nil))
			}
		}
	}
	for _, code := range legalCodes() {
		if covered[code] == 0 {
			t.Errorf("no run executed %v", Instruction{Code: code})
		}
	}
	t.Logf("%d runs, %d programs left out because they divide by zero", runs, skipped)
}
