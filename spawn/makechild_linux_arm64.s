#include "textflag.h"
#include "go_asm.h"

#define SYS_rt_sigprocmask 135
#define SYS_exit_group 94
#define SIG_SETMASK 2

// func makeChild(number, a0, a1 uintptr, steps unsafe.Pointer, n uintptr, rep *report) uintptr
//
// The parent enters and leaves like any function. The child uses registers only: with CLONE_VM the stack is the parent's.
// SVC keeps all registers but R0, so the state lives in R19 (record), R20 (index), R21 (number of steps), R22 (report).
TEXT ·makeChild(SB), NOSPLIT, $16-56
	// Block all signals: a handler of the runtime may run neither in the child nor on its stack.
	MOVD $-1, R0
	MOVD R0, all-16(SP)
	MOVD $SIG_SETMASK, R0
	MOVD $all-16(SP), R1
	MOVD $old-8(SP), R2
	MOVD $8, R3
	MOVD $SYS_rt_sigprocmask, R8
	SVC

	MOVD steps+24(FP), R19
	MOVD ZR, R20
	MOVD n+32(FP), R21
	MOVD rep+40(FP), R22
	MOVD a0+8(FP), R0
	MOVD a1+16(FP), R1
	MOVD ZR, R2
	MOVD ZR, R3
	MOVD ZR, R4
	MOVD number+0(FP), R8
	SVC
	CBZ  R0, loop

	MOVD R0, ret+48(FP)
	MOVD $SIG_SETMASK, R0
	MOVD $old-8(SP), R1
	MOVD ZR, R2
	MOVD $8, R3
	MOVD $SYS_rt_sigprocmask, R8
	SVC
	RET

loop:
	CMP  R21, R20
	BHS  exit
	MOVD R20, report_step(R22)
	MOVD (record_args+0)(R19), R0
	MOVD (record_args+8)(R19), R1
	MOVD (record_args+16)(R19), R2
	MOVD (record_args+24)(R19), R3
	MOVD (record_args+32)(R19), R4
	MOVD (record_args+40)(R19), R5
	MOVD record_number(R19), R8
	SVC
	CMN  $4095, R0
	BHS  error
	MOVD record_want(R19), R9
	CMN  $1, R9
	BEQ  next
	CMP  R9, R0
	BNE  unwanted

next:
	ADD  $record__size, R19
	ADD  $1, R20
	B    loop

error:
	NEG  R0, R0
	MOVD record_tolerate(R19), R9

tolerated:
	CBZ  R9, failed
	MOVHU R9, R10
	CMP  R10, R0
	BEQ  next
	LSR  $16, R9
	B    tolerated

failed:
	MOVD R0, report_value(R22)
	MOVD $const_outcomeErrno, R9
	MOVD R9, report_outcome(R22)
	B    exit

unwanted:
	MOVD R0, report_value(R22)
	MOVD $const_outcomeResult, R9
	MOVD R9, report_outcome(R22)

exit:
	MOVD $127, R0
	MOVD $SYS_exit_group, R8
	SVC
	B    exit
