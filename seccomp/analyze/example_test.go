package analyze_test

import (
	"fmt"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/analyze"
	"cellos.io/cellos/sysabi"
)

func compile(name string) (seccomp.Program, *sysabi.Arch) {
	arch, _ := sysabi.ArchByName("amd64")
	policy, err := seccomp.Profile(name)
	if err != nil {
		panic(err)
	}
	prog, err := seccomp.Compile(policy, arch)
	if err != nil {
		panic(err)
	}
	return prog, arch
}

// The reference's denylist looks weak.
func ExampleAnalysis_Lint() {
	prog, arch := compile("baseline")
	x, err := analyze.Program(prog, arch)
	if err != nil {
		panic(err)
	}
	for _, f := range x.Lint()[:2] {
		fmt.Println(f)
	}
	// Output:
	// error: x32-open: a call that is refused by its own number is allowed as an x32 call, number 0x40000065 (ptrace)
	// warning: denylist: calls that the program does not know are allowed, and so is what future kernels add
}

// What +net-none takes away, with a witness for each call.
func ExampleCompare() {
	before, arch := compile("hardened")
	after, _ := compile("hardened+net-none")
	c, err := analyze.Compare(before, after, arch)
	if err != nil {
		panic(err)
	}
	fmt.Print(c)
	// Output:
	// The second is at least as strict as the first.
	//   socket                   allow, then errno EAFNOSUPPORT with arguments 2, 1
	//   socketpair               allow, then errno EAFNOSUPPORT with arguments 0
}
