// Package sysabi is the Linux kernel's interface as data: system call numbers and names per architecture,
// error numbers, flags, and, on Linux, the few raw calls that the rest of the project makes.
//
// Names here are the kernel's own spelling. Everything but the files that end in _linux.go is plain data that builds
// and is tested on any operating system, so that a table for arm64 can be made and checked on amd64.
//
// It is the only package that imports golang.org/x/sys/unix.
package sysabi
