// Package seccomp decides which system calls a process may make: policies as data, the profiles baseline, hardened and
// strict, a compiler from a policy to a classic BPF program, the kernel's rules for such programs, and an interpreter.
//
//	policy, err := seccomp.Profile("hardened+net-none")
//	prog, err := seccomp.Compile(policy, arch)
//	bytes := prog.Bytes() // what seccomp(2) takes, as an array of struct sock_filter
//
// Everything here is data and arithmetic. It builds and is tested on any operating system, for every architecture; only
// [ReadFile] looks at the machine it runs on.
//
// It does not load filters: the spawn package does, in the child. Package analyze reasons about programs that others
// wrote, and package policyfile reads policies from YAML, JSON and the OCI runtime format.
package seccomp
