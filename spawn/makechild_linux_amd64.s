#include "textflag.h"
#include "go_asm.h"

#define SYS_rt_sigprocmask 14
#define SYS_exit_group 231
#define SIG_SETMASK 2

// func makeChild(number, a0, a1 uintptr, steps unsafe.Pointer, n uintptr, rep *report) uintptr
//
// The parent enters and leaves like any function. The child uses registers only: with CLONE_VM the stack is the parent's.
// SYSCALL clobbers RCX and R11, so the state lives in BX (report), R12 (record), R13 (index) and R15 (number of steps).
TEXT ·makeChild(SB), NOSPLIT, $16-56
	// Block all signals: a handler of the runtime may run neither in the child nor on its stack.
	MOVQ $-1, all-16(SP)
	MOVQ $SIG_SETMASK, DI
	LEAQ all-16(SP), SI
	LEAQ old-8(SP), DX
	MOVQ $8, R10
	MOVQ $SYS_rt_sigprocmask, AX
	SYSCALL

	MOVQ steps+24(FP), R12
	MOVQ n+32(FP), R15
	MOVQ rep+40(FP), BX
	XORQ R13, R13
	MOVQ a0+8(FP), DI
	MOVQ a1+16(FP), SI
	XORQ DX, DX
	XORQ R10, R10
	XORQ R8, R8
	MOVQ number+0(FP), AX
	SYSCALL
	TESTQ AX, AX
	JEQ  loop

	MOVQ AX, ret+48(FP)
	MOVQ $SIG_SETMASK, DI
	LEAQ old-8(SP), SI
	XORQ DX, DX
	MOVQ $8, R10
	MOVQ $SYS_rt_sigprocmask, AX
	SYSCALL
	RET

loop:
	CMPQ R13, R15
	JCC  exit
	MOVQ R13, report_step(BX)
	MOVQ (record_args+0)(R12), DI
	MOVQ (record_args+8)(R12), SI
	MOVQ (record_args+16)(R12), DX
	MOVQ (record_args+24)(R12), R10
	MOVQ (record_args+32)(R12), R8
	MOVQ (record_args+40)(R12), R9
	MOVQ record_number(R12), AX
	SYSCALL
	CMPQ AX, $-4095
	JCC  error
	MOVQ record_want(R12), CX
	CMPQ CX, $-1
	JEQ  next
	CMPQ AX, CX
	JNE  unwanted

next:
	ADDQ $record__size, R12
	INCQ R13
	JMP  loop

error:
	NEGQ AX
	MOVQ record_tolerate(R12), DX

tolerated:
	TESTQ DX, DX
	JEQ  failed
	MOVWQZX DX, CX
	CMPQ CX, AX
	JEQ  next
	SHRQ $16, DX
	JMP  tolerated

failed:
	MOVQ AX, report_value(BX)
	MOVQ $const_outcomeErrno, report_outcome(BX)
	JMP  exit

unwanted:
	MOVQ AX, report_value(BX)
	MOVQ $const_outcomeResult, report_outcome(BX)

exit:
	MOVQ $127, DI
	MOVQ $SYS_exit_group, AX
	SYSCALL
	JMP  exit
