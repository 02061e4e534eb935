// Package analyze reasons about seccomp programs that others wrote: what they do to each call and under which arguments, how two
// of them differ, what is suspicious about one, and what it costs.
//
//	x, err := analyze.Program(prog, arch)
//	fmt.Print(x.Explain())          // per action: numbers and argument conditions
//	for _, f := range x.Lint() {}   // findings with severities
//	c, err := analyze.Compare(old, new, arch)
//
// Everything rests on one symbolic executor: it goes once through the program, whose jumps only go forward, and keeps, for each
// instruction, the set of inputs that reach it and the values of the registers as functions of the input, all as decision
// diagrams over the 512 bits of seccomp_data. Paths that meet are merged, so that their number does not matter. The answer is
// exact for every instruction that seccomp has.
//
// Work and memory are bounded. Where a bound is met, the inputs concerned are "not decided"; nothing is guessed.
//
// It does not run programs, and does not look at the machine: see seccomp.Program.Run for the former.
package analyze
