package table

// order checks the rules about what comes after what.
func (c *checker) order() {
	call := c.s.Call
	last := c.i == len(c.table)-1
	if isExec(call) && !last {
		c.bad("%s is not the last step", call)
	}
	if c.filtered && !isExec(call) && !c.isSeccomp() {
		c.bad("%s after a seccomp step; only the exec may follow", call)
	}
	if r := credentialRank(call); r > 0 {
		if r < c.rank {
			c.bad("%s after %s; the order is groups, gid, uid, capabilities", call, c.rankCall)
		} else {
			c.rank, c.rankCall = r, call
		}
		if c.pdeathsig {
			c.bad("%s after PR_SET_PDEATHSIG, which it clears", call)
		}
	}
	switch {
	case call == "prctl" && uint32(c.num(0)) == prSetPdeathsig:
		c.pdeathsig = true
	case call == "prctl" && uint32(c.num(0)) == prSetNoNewPrivs:
		c.noNew = true
	case call == "landlock_restrict_self":
		if !c.noNew {
			c.bad("landlock_restrict_self before PR_SET_NO_NEW_PRIVS")
		}
	case c.isSeccomp():
		if !c.noNew {
			c.bad("seccomp before PR_SET_NO_NEW_PRIVS")
		}
		c.filtered = true
	}
}

// credentialRank returns the place of a call in the order of credential changes, or 0.
func credentialRank(call string) int {
	switch call {
	case "setgroups":
		return 1
	case "setgid", "setregid", "setresgid":
		return 2
	case "setuid", "setreuid", "setresuid":
		return 3
	case "capset":
		return 4
	}
	return 0
}

// ChangesCredentials reports whether a step sets user, group or capabilities. In VFork and Shared the kernel then clears
// the dumpable flag of the memory, and so the parent's (kernel/cred.c: commit_creds); package spawn puts it back.
func (t Table) ChangesCredentials() bool {
	for _, s := range t {
		if credentialRank(s.Call) > 1 {
			return true
		}
	}
	return false
}

// descriptors checks where descriptors go, and that the exec pipe lives until the exec.
func (c *checker) descriptors() {
	switch c.s.Call {
	case "dup3":
		to := int64(c.num(1))
		if len(c.s.Args) != 3 || to < 0 || to >= FirstHanded {
			c.bad("dup3 needs three arguments and a target from 0 to %d", FirstHanded-1)
			return
		}
		if a := c.s.Args[0]; a.kind == kindHanded && a.text == ExecPipe {
			if c.num(2) != oCloexec {
				c.bad("the exec pipe must be moved with O_CLOEXEC")
			}
			c.pipeAt = to
			return
		}
		if c.pipeAt > 0 && to == c.pipeAt {
			c.bad("dup3 overwrites the exec pipe, which is descriptor %d", to)
		}
	case "close":
		if c.pipeAt > 0 && int64(c.num(0)) == c.pipeAt {
			c.bad("close of the exec pipe, which is descriptor %d", c.pipeAt)
		}
	case "close_range":
		first, end := uint32(c.num(0)), uint32(c.num(1))
		if len(c.s.Args) != 3 || c.num(2)&closeRangeExec != 0 {
			return
		}
		if c.pipeAt > 0 && int64(first) <= c.pipeAt && c.pipeAt <= int64(end) {
			c.bad("close_range closes the exec pipe, which is descriptor %d", c.pipeAt)
		}
		if end < FirstHanded {
			return
		}
		if c.pipeAt == 0 {
			c.bad("close_range closes the exec pipe: move it first with dup3(<%s>, …, O_CLOEXEC)", ExecPipe)
		}
		if c.closedAt == 0 {
			c.closedAt = c.i + 1
		}
	}
}

// allowed checks the calls that no table, or not this form, may make.
func (c *checker) allowed() {
	call := c.s.Call
	switch call {
	case "clone", "clone3", "fork", "vfork":
		c.bad("%s: the new process would execute the rest of the table too", call)
	case "exit", "exit_group":
		c.bad("%s ends the process before the exec", call)
	case "dup2":
		c.bad("dup2: use dup3, which both architectures have")
	}
	if c.form == Fork {
		return
	}
	if actsOnMemory(call) || call == "prctl" && memoryOption(uint32(c.num(0))) {
		c.bad("%s acts on the memory, which in %s form is the parent's", call, c.form)
	}
	if c.form == VFork && blocks(call) {
		c.bad("%s may block, and in vfork form the parent's thread and its collector wait", call)
	}
}

// actsOnMemory names the calls that change the address space, or leave an address in it for the kernel to write to.
func actsOnMemory(call string) bool {
	switch call {
	case "brk", "mmap", "munmap", "mremap", "mprotect", "pkey_mprotect", "pkey_alloc", "pkey_free", "madvise", "process_madvise",
		"mlock", "mlock2", "mlockall", "munlock", "munlockall", "msync", "mseal", "remap_file_pages", "mbind", "migrate_pages",
		"move_pages", "shmat", "shmdt", "userfaultfd", "io_setup", "set_tid_address", "set_robust_list", "rseq", "membarrier",
		"arch_prctl", "map_shadow_stack", "modify_ldt":
		return true
	}
	return false
}

// memoryOption reports the options of prctl(2) that belong to the memory and not to the task.
func memoryOption(option uint32) bool {
	switch option {
	case prSetDumpable, prSetMM, prSetTHPDisable, prSetMDWE:
		return true
	}
	return false
}

// blocks names the calls that wait for something by their nature. It cannot be complete: a write to a full pipe, or an open
// of a FIFO or of a file on a network, blocks too.
func blocks(call string) bool {
	switch call {
	case "read", "readv", "preadv", "preadv2", "recvfrom", "recvmsg", "recvmmsg", "accept", "accept4", "connect", "poll", "ppoll",
		"select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2", "pause", "rt_sigsuspend", "rt_sigtimedwait",
		"nanosleep", "clock_nanosleep", "wait4", "waitid", "futex", "futex_wait", "futex_waitv", "flock", "msgrcv", "msgsnd",
		"semop", "semtimedop", "mq_timedreceive", "mq_timedsend", "io_getevents", "io_pgetevents", "io_uring_enter",
		"fsync", "sync", "syncfs", "fdatasync":
		return true
	}
	return false
}
