package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// An escape is one attempt to get out of a cell, made inside by the program of testdata/escape.
type escape struct {
	name string
	want string // the answers of which one must come: names of errors, of a signal, or ok for what is harmless; "A|B"
}

// x86 marks attempts that other architectures have no such thing for.
const x86 = " x86"

// probe builds the program of testdata/escape once. It is static, so that it runs whatever the cell shows.
var probe = sync.OnceValues(func() (string, error) {
	sources, err := filepath.Glob("testdata/escape/*.c")
	if err != nil {
		return "", err
	}
	out := filepath.Join(filepath.Dir(binary), "escape")
	text, err := exec.Command("gcc", append([]string{"-static", "-O1", "-o", out}, sources...)...).CombinedOutput()
	if err != nil {
		return string(text), err
	}
	return out, nil
})

// inside is where the cells of these tests have the program.
const inside = "/escape/probe"

// escapes returns the flag that grants the program.
func escapes(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	p, err := probe()
	if err != nil {
		t.Fatalf("building testdata/escape: %v\n%s", err, p)
	}
	return "--exec=" + p + ":" + inside
}

// compare demands exactly the verdicts that the user's backend must give, each once.
func compare(t *testing.T, u user, verdicts string, want []escape) {
	t.Helper()
	got := map[string]string{}
	for line := range strings.Lines(verdicts) {
		name, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, twice := got[name]; twice {
			t.Errorf("two verdicts on %s", name)
		}
		got[name] = v
	}
	for _, e := range u.expect(want) {
		w, only := strings.CutSuffix(e.want, x86)
		if only && runtime.GOARCH != "amd64" {
			continue
		}
		v, made := got[e.name]
		delete(got, e.name)
		switch {
		case !made:
			t.Errorf("%s: no verdict", e.name)
		case !strings.Contains("|"+w+"|", "|"+v+"|"):
			t.Errorf("%s: %s, want %s", e.name, v, w)
		}
	}
	for name, v := range got {
		t.Errorf("%s: %s, and the table does not have it", name, v)
	}
}

// mountsOf reads the mounts of this process, in which a cell must leave nothing.
func mountsOf(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all gives every name the same wanted verdict.
func all(want, names string) (list []escape) {
	for name := range strings.FieldsSeq(names) {
		list = append(list, escape{name, want})
	}
	return list
}

func join(lists ...[]escape) (list []escape) {
	for _, l := range lists {
		list = append(list, l...)
	}
	return list
}

// groups are the attempts that need nothing prepared on the host. The answers are those of the profile "hardened" (seccomp's table of
// profiles: refused calls of old answer EPERM, new ones ENOSYS, so that programs fall back), else those of the man pages.
var groups = []struct {
	name string
	want []escape
}{
	{"kernel", join(
		all("EPERM", `bpf perf_event_open kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff quotactl
			personality-aslr-off personality-read-implies-exec keyctl-session keyctl-join add_key request_key syslog-read acct vhangup
			seccomp-listener ptrace-traceme ptrace-attach-1 ptrace-seize-1 process_vm_readv-1 process_vm_writev-1 sched-realtime
			settimeofday clock_settime adjtimex clock_adjtime`),
		all("ENOSYS", `userfaultfd io_uring_setup io_uring_enter io_uring_register io_setup fanotify_init lookup_dcookie memfd_secret kcmp
			move_pages lsm_list_modules unknown-call process_madvise-1 pidfd_getfd-1`),
		all("EACCES", "nice-up"),
		all("ok|ENOMEM", "mlockall"), // bounded by RLIMIT_MEMLOCK
		all("ENOSYS"+x86, "x32-getpid x32-ptrace"),
		all("SIGSYS"+x86, "int80"),
		all("EPERM"+x86, "modify_ldt iopl ioperm"),
	)},
	{"names", join(
		all("EPERM", `unshare-user clone-user setns-user unshare-mnt clone-mnt setns-mnt unshare-pid clone-pid setns-pid unshare-net clone-net
			setns-net unshare-ipc clone-ipc setns-ipc unshare-uts clone-uts setns-uts unshare-cgroup clone-cgroup setns-cgroup unshare-time
			setns-time clone-high-bits clone-user-and-mnt setns-pidfd-1 ns-get-parent ns-get-userns sethostname setdomainname`),
		all("ENOSYS", "clone3-user clone3-mnt clone3-pid clone3-net clone3-ipc clone3-uts clone3-cgroup clone3-time"),
	)},
	{"mounts", join(
		all("EPERM", `mount-tmpfs mount-proc mount-bind mount-move remount-root-rw remount-sys-rw mount-shared umount-sys umount-cover umount-root
			umount-workdir pivot_root chroot`),
		all("ENOSYS", "fsopen fsconfig fsmount fspick open_tree open_tree_attr move_mount mount_setattr statmount listmount"),
		all("EROFS|EACCES", "write-root write-usr write-etc-passwd write-ld-cache chmod-root unlink-lib touch-usr"),
		all("EROFS|EACCES|EXDEV", "replace-bin"),
		all("EACCES", "canary"), // Landlock alone refuses it
		all("ENOENT", "dotdot-shadow sys cgroup home root-home run var"),
	)},
	{"proc", join(
		// PID 1 is not dumpable, and a signal is all that it can be sent.
		all("EACCES|EPERM", `read-1-root read-1-cwd read-1-exe read-1-mem read-1-environ read-1-maps read-1-fd read-1-fd-0 read-1-fd-3 read-1-auxv
			read-1-stack read-1-syscall read-1-ns-mnt write-1-oom write-1-mem write-1-comm write-1-clear_refs`),
		// Which of these a kernel has is its configuration; one that is covered is empty.
		all("EACCES|EPERM|ENOENT|ENODATA", `read-kcore read-kmsg read-keys read-kallsyms read-cmdline read-kpageflags read-slabinfo
			read-vmallocinfo read-timer_list read-interrupts`),
		all("EACCES|EPERM|ENOENT|EROFS", `write-sysrq-trigger write-core_pattern write-modprobe write-hostname write-ns_last_pid write-shmmax
			write-ip_forward write-ping_range write-binfmt write-drop_caches write-mtrr write-irq`),
		all("EPERM|EACCES", "own-uid_map own-gid_map own-setgroups oom-never"),
		// Everybody may map project ids once (kernel/user_namespace.c:proc_projid_map_write); only the host's user namespace can use them:
		// see project-id.
		all("ok|EPERM|EACCES", "own-projid_map"),
		all("ETXTBSY|EACCES|EROFS", "self-exe-write"),
		all("ENOENT|EACCES", "self-root-shadow"),
	)},
	{"identity", join(
		all("EINVAL|EPERM", "setuid setreuid setresuid setgid setresgid fsuid chown-root"), // 0 is not mapped
		all("EPERM", "setgroups capset ambient securebits keep-caps rlimit-nproc rlimit-nofile rlimit-core rlimit-rtprio rlimit-nice"),
		all("EINVAL", "no-new-privs-off seccomp-off"),
	)},
	{"devices", join(
		all("EPERM", `mknod-char mknod-block mknod-whiteout mknod-high-bits mknod-workdir TIOCSTI TIOCSTI-high-bits TIOCLINUX TIOCLINUX-high-bits
			TIOCCONS TIOCSETD random-entropy`),
		all("ENOENT", `dev-mem dev-kmem dev-port dev-kmsg dev-kvm dev-fuse dev-vda dev-sda dev-loop-control dev-net/tun dev-vhost-vsock dev-console
			dev-tty0 dev-ttyS0 dev-uinput dev-hwrng dev-mapper/control dev-vfio/vfio`),
		all("ENXIO", "dev-tty"),
		all("ok", "own-terminal"),
		all("EPERM|EROFS|EACCES", "chmod-dev-null unlink-dev-null create-in-dev"),
	)},
}

func TestEscapes(t *testing.T) {
	grant := escapes(t)
	everywhere(t, func(t *testing.T, u user) {
		before := mountsOf(t)
		b := newBench(t, u)
		null, err := os.Stat("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			t.Run(g.name, func(t *testing.T) {
				compare(t, u, b.cell([]string{grant}, inside, "-", g.name).ok(t), g.want)
			})
		}
		if now := mountsOf(t); now != before {
			t.Errorf("mounts changed:\n%s\nnow:\n%s", before, now)
		}
		if now, err := os.Stat("/dev/null"); err != nil || now.Mode() != null.Mode() {
			t.Errorf("/dev/null of the host is %v, %v; was %v", now.Mode(), err, null.Mode())
		}
	})
}
