package e2e

// onGVisor are the attempts that gVisor's kernel answers otherwise than Linux, each with the layer that makes it harmless. What the tests
// look at from outside is the same on every backend.
var onGVisor = join(
	// Second kernel: these are files and settings of gVisor's own, nothing of the host is behind them.
	all("ok", `write-sysrq-trigger write-1-oom write-1-comm oom-never read-cmdline nice-up keep-caps sndbufforce transparent chmod-dev-null`),
	all("ok", "low-port"), // of the cell's own network, where Linux asks for a capability
	all("ENOENT", "write-1-clear_refs read-1-syscall read-1-stack read-1-fd-0 own-projid_map canary"),
	all("EINVAL", "read-1-ns-mnt"), // a namespace has no file behind its name
	all("EISDIR", "read-1-fd"),     // as of any folder; its entries cannot be followed: read-1-fd-0
	all("ok", "sys"),               // an empty folder
	// Second kernel: it has no such operation.
	all("EINVAL", "sched-realtime"),
	all("ENOTTY", "random-entropy ns-get-userns ns-get-parent lo-down freeze"),
	all("EOPNOTSUPP", "trusted-xattr overlay-redirect file-capability"),
	all("ENOSYS"+x86, "int80"),
	all("EPIPE", "fastopen"),
	// Descriptors: the name can be opened again for writing, the host's descriptor behind it cannot be written.
	all("ok", "reopen-0-write reopen-0-truncate"),
	// The filter "init": Linux would take the signal and ignore it.
	all("EPERM|EBADF", "pidfd-kill-1"),
)

// expect is a table as the user's backend must answer it.
func (u user) expect(list []escape) []escape {
	if u.backend != "gvisor" {
		return list
	}
	other := map[string]string{}
	for _, e := range onGVisor {
		other[e.name] = e.want
	}
	out := make([]escape, len(list))
	for i, e := range list {
		if w, ok := other[e.name]; ok {
			e.want = w
		}
		out[i] = e
	}
	return out
}
