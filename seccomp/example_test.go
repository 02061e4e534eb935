package seccomp_test

import (
	"fmt"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/sysabi"
)

// A filter for arm64, made and tried on any machine.
func Example() {
	policy, err := seccomp.Profile("hardened")
	if err != nil {
		panic(err)
	}
	arch, _ := sysabi.ArchByName("arm64")
	prog, err := seccomp.Compile(policy, arch)
	if err != nil {
		panic(err)
	}
	clone, _ := arch.Number("clone")
	for _, flags := range []uint64{17, 17 | sysabi.CLONE_NEWUSER} {
		out, err := prog.Run(seccomp.Data{NR: uint32(clone), Arch: arch.Audit(), Args: [6]uint64{flags}})
		fmt.Printf("clone(%#x): %v %v\n", flags, out.Action, err)
	}
	// Output:
	// clone(0x11): allow <nil>
	// clone(0x10000011): errno EPERM <nil>
}

// A program that the kernel would refuse, and why.
func ExampleProgram_Check() {
	prog := seccomp.Program{{Code: 0x20, K: 66}, {Code: 0x06, K: 0x7fff0000}}
	fmt.Println(prog.Check())
	// Output:
	// instruction 0 (ld [66]): the offset must be a multiple of 4 below 64
}
