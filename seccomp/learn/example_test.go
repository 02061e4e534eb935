package learn_test

import (
	"fmt"

	"cellos.io/cellos/seccomp"
	"cellos.io/cellos/seccomp/learn"
	"cellos.io/cellos/seccomp/policyfile"
	"cellos.io/cellos/sysabi"
)

// A program that was seen to read, and to open TCP sockets.
func Example() {
	arch, _ := sysabi.ArchByName("amd64")
	seen, err := learn.New(arch)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range []struct {
		name string
		args [6]uint64
	}{{"execve", [6]uint64{}}, {"read", [6]uint64{3}}, {"socket", [6]uint64{2, 1, 6}}} {
		nr, _ := arch.Number(c.name)
		seen.Add(1, seccomp.Data{NR: uint32(nr), Arch: arch.Audit(), Args: c.args}, seccomp.Allow)
	}
	fmt.Printf("%s", policyfile.Extending("strict", "client", seen.Rules(), nil))
	// Output:
	// name: "client"
	// extends: strict
	// rules:
	//   - calls: [socket]
	//     when:
	//       - if:
	//           - {arg: 0, width: 32, is: 0x2}
	//           - {arg: 1, width: 32, mask: 0xf, is: 0x1}
	//           - {arg: 2, width: 32, is: 0x6}
	//         action: allow
	//     action: errno EPERM
}
