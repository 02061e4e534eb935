package seccomp

import (
	"errors"
	"fmt"
)

func checkLength(n int) error {
	switch {
	case n == 0:
		return errors.New("seccomp BPF program is empty")
	case n%InstructionSize != 0:
		return fmt.Errorf("seccomp BPF length %d is not a multiple of 8 (sock_filter size)", n)
	case n > MaxInstructions*InstructionSize:
		return fmt.Errorf("seccomp BPF program too large (max %d bytes)", MaxInstructions*InstructionSize)
	}
	return nil
}
