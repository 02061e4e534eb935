package seccomp

import (
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
)

// stackHelper loads as many copies of the program as the kernel takes, for each program, and answers how many. Then it divides by
// zero in a thread and answers once the thread is gone.
func stackHelper(in io.Reader, out io.Writer) error {
	for {
		b, err := readFrame(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		answer := make(chan uint32)
		var tid int
		go func() {
			runtime.LockOSThread()
			tid = syscall.Gettid()
			n := uint32(0)
			if sysabi.SetNoNewPrivs() == nil {
				for ; n < 100000; n++ {
					if _, err := sysabi.SeccompSetFilter(0, b); err != nil {
						break
					}
					if string(b) == string(divides.Bytes()) {
						answer <- 0
						sysabi.RawCall(firstNumber, [6]uintptr{})
					}
				}
			}
			answer <- n
		}()
		if string(b) == string(divides.Bytes()) {
			// The thread dies with its scheduler's processor in its hands: nothing may stop the world.
			debug.SetGCPercent(-1)
			runtime.GOMAXPROCS(8)
		}
		n := <-answer
		if string(b) == string(divides.Bytes()) {
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); runtime.Gosched() {
				if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(tid)); err != nil {
					n = 1
					break
				}
			}
		}
		if err := binary.Write(out, binary.LittleEndian, n); err != nil {
			return err
		}
	}
}

// divides kills the thread that calls firstNumber.
var divides = Program{
	{Code: opLoad, K: offNR}, {Code: opJEQ, K: firstNumber, JT: 1}, {Code: opRet, K: uint32(Allow)},
	{Code: opLoadImm, K: 7}, {Code: opLdxImm, K: 0}, {Code: 0x3c}, {Code: opRet, K: uint32(Allow)},
}

func ask(t *testing.T, s *server, p Program) uint32 {
	t.Helper()
	if _, err := s.in.Write(frame(p.Bytes())); err != nil {
		t.Fatal(err)
	}
	var n uint32
	if err := binary.Read(s.out, binary.LittleEndian, &n); err != nil {
		t.Fatalf("the helper ended: %v", err)
	}
	return n
}

func TestDivisionByZeroKillsTheThread(t *testing.T) {
	o, err := divides.Run(Data{NR: firstNumber})
	if err != nil || o.Action != KillThread || o.PC != 5 {
		t.Errorf("we say %v at %d, %v", o.Action, o.PC, err)
	}
}

// TestStackLimit compares FilterCost with how many copies of a program the kernel loads into one thread.
func TestStackLimit(t *testing.T) {
	s := start(t, "stack")
	allow := Instruction{Code: opRet, K: uint32(Allow)}
	of := func(n int, i Instruction) Program {
		p := Program{}
		for range n {
			p = append(p, i)
		}
		return append(p, allow)
	}
	all := map[string]Program{
		"ret":      {allow},
		"jeq":      of(100, Instruction{Code: opJEQ}),
		"jeq high": of(100, Instruction{Code: opJEQ, K: 0x80000000}),
		"jeq jf":   append(of(100, Instruction{Code: opJEQ, JF: 1}), allow),
		"jset jf":  append(of(100, Instruction{Code: opJSET, JF: 1}), allow),
		"jgt both": append(of(100, Instruction{Code: 0x25, JT: 1, JF: 1}), allow),
		"jeq x":    of(100, Instruction{Code: opJEQ | srcX}),
		"ld":       of(100, Instruction{Code: opLoad, K: 16}),
		"ld mem":   append(Program{{Code: opStore}}, of(100, Instruction{Code: opLoadMem})...),
		"div x":    of(100, Instruction{Code: 0x3c}),
		"div":      of(100, Instruction{Code: opDiv, K: 3}),
		"tax":      of(100, Instruction{Code: opTAX}),
		"add high": of(100, Instruction{Code: 0x04, K: 0xf0000000}),
		"rets":     of(100, allow),
		"ret a":    append(of(100, Instruction{Code: opRetA}), Instruction{Code: opRetA}),
		"ja":       of(100, Instruction{Code: opJump}),
		"neg":      of(100, Instruction{Code: opNeg}),
	}
	for _, name := range Profiles() {
		b, err := ProfileBytes(name, sysabi.NativeArch())
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = ParseProgram(b); err != nil {
			t.Fatal(err)
		}
	}
	for name, p := range all {
		// The helper itself must survive it.
		p = append(Program{{Code: opLoad, K: offNR}, {Code: opJEQ, K: firstNumber, JT: 1}, {Code: opRet, K: uint32(Allow)}}, p...)
		n := int(ask(t, s, p))
		t.Logf("%-10s %4d instructions, %4d copies: %.2f each; we count %d", name, len(p), n, float64(MaxStack+4)/float64(n), p.FilterCost())
		if max := (MaxStack + 4) / p.FilterCost(); max != n {
			t.Errorf("%s: the kernel takes %d copies, we expect %d", name, n, max)
		}
	}
}
