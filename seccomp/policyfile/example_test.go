package policyfile_test

import (
	"fmt"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/sysabi"
)

// A policy on top of strict that may make UNIX sockets.
func Example() {
	policy, err := policyfile.Parse([]byte(`
name: local-client
extends: strict
rules:
  - calls: [socket]
    when:
      - if: [{arg: 0, width: 32, is: 1}]
        action: allow
    action: errno EAFNOSUPPORT
  - calls: [connect]
    action: allow
`))
	if err != nil {
		panic(err)
	}
	arch, _ := sysabi.ArchByName("arm64")
	prog, err := seccomp.Compile(policy, arch)
	if err != nil {
		panic(err)
	}
	socket, _ := arch.Number("socket")
	for _, family := range []uint64{1, 2} {
		out, err := prog.Run(seccomp.Data{NR: uint32(socket), Arch: arch.Audit(), Args: [6]uint64{family}})
		fmt.Println(family, out.Action, err)
	}
	// Output:
	// 1 allow <nil>
	// 2 errno EAFNOSUPPORT <nil>
}
