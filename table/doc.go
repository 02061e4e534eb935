// Package table describes the list of system calls that a new process executes between clone3(2) and execve(2).
//
// A [Table] is plain data: it is made, checked ([Table.Validate]), printed ([Table.String]) and turned into the bytes
// that the child executes ([Table.Link]) on any operating system, for any architecture. Package spawn starts it.
//
//	t := table.Table{
//		{Name: "starting a session", Call: "setsid"},
//		{Name: "opening the signal mask", Call: "rt_sigprocmask", Args: []table.Arg{
//			table.Flags(2, "SIG_SETMASK"), table.Struct(make([]byte, 8), "[]"), table.Null(), table.Num(8)}},
//		{Name: "executing /bin/true", Call: "execve", Args: []table.Arg{
//			table.Path("/bin/true"), table.Strings([]string{"true"}), table.Strings(nil)}},
//	}
//
// prints as
//
//	1  setsid()  # starting a session
//	2  rt_sigprocmask(SIG_SETMASK, [], NULL, 8)  # opening the signal mask
//	3  execve("/bin/true", ["true"], [])  # executing /bin/true
//
// Nothing in a table depends on an earlier step's result. Where the kernel returns a descriptor, the table relies on the
// rule that the lowest free number is taken (open(2)) and states the number with [Step.Want], so that a wrong guess is an
// error and not a wrong descriptor.
//
// The package does not decide what a cell needs, and it makes no system call.
package table
