// Command guest is the first process of a virtual machine in which tests find what this host lacks: control groups of version 2 with every
// controller. It is also the programs that run in cells there: there is nothing else in the machine.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getpid() == 1 && len(os.Args) < 2 {
		if err := machine(); err != nil {
			fmt.Println("GUEST", err)
		}
		fmt.Println("GUEST END")
		syscall.Sync()
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART) // -no-reboot ends the machine
		select {}
	}
	switch os.Args[1] {
	case "hog": // MiB
		n, _ := strconv.Atoi(os.Args[2])
		b := make([]byte, n<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		if len(os.Args) > 3 {
			time.Sleep(time.Hour)
		}
		fmt.Println("more than it may", len(b))
	case "many": // processes of 4 MiB each
		for range 20 {
			exec.Command(os.Args[0], "hog", "4", "stay").Start()
		}
		time.Sleep(time.Hour)
	case "busy": // iterations
		n, _ := strconv.Atoi(os.Args[2])
		x := uint64(1)
		for i := range n {
			x = x*6364136223846793005 + uint64(i)
		}
		fmt.Println("done", x != 0)
	case "nothing":
	}
}

// machine makes a root that can be left, and runs the cases.
func machine() error {
	os.MkdirAll("/new", 0o755)
	mount := func(what, at, fstype string, flags uintptr, data string) error {
		os.MkdirAll(at, 0o755)
		if err := syscall.Mount(what, at, fstype, flags, data); err != nil {
			return fmt.Errorf("mounting %s: %w", at, err)
		}
		return nil
	}
	if err := mount("tmpfs", "/new", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, p := range []string{"usr/bin/guest", "usr/bin/cellos"} {
		if err := copyFile("/"+p, "/new/"+p); err != nil {
			return err
		}
	}
	os.Symlink("usr/bin", "/new/bin")
	for _, d := range []string{"tmp", "etc", "state", "proc", "sys", "dev"} {
		os.MkdirAll("/new/"+d, 0o755)
	}
	os.Chmod("/new/tmp", 0o1777)
	os.Chdir("/new")
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return err
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	os.Chdir("/")
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}, {"cgroup2", "/sys/fs/cgroup", "cgroup2"}} {
		if err := mount(m[0], m[1], m[2], 0, ""); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory +cpu +pids"), 0); err != nil {
		return err
	}
	fmt.Println("GUEST BEGIN")
	return run()
}

// run prints, for each case, CASE NAME STATUS, and the event that tells how the command ended.
func run() error {
	const user = "/sys/fs/cgroup/user"
	for _, d := range []string{user, user + "/supervisors"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
		for _, f := range []string{"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"} {
			os.Chown(d+f, 1000, 1000)
		}
	}
	for _, uid := range []int{0, 1000} {
		state := fmt.Sprintf("/state/%d", uid)
		os.Mkdir(state, 0o700)
		os.Chown(state, uid, uid)
		for _, c := range []struct {
			name string
			args []string
		}{
			{"hog", []string{"--memory", "32MiB", "--", "guest", "hog", "100"}},
			{"many", []string{"--memory", "32MiB", "--", "guest", "many"}},
			{"busy", []string{"--cpus", "0.2", "--", "guest", "busy", "200000000"}},
			{"nothing", []string{"--memory", "32MiB", "--cpus", "1", "--pids", "20", "--", "guest", "nothing"}},
		} {
			cmd := exec.Command("/usr/bin/cellos", append([]string{"run", "--quiet", "--workdir", "/tmp:empty"}, c.args...)...)
			cmd.Env = []string{"PATH=/usr/bin", "CELLOS_STATE=" + state}
			cmd.Stdout, cmd.Stderr, cmd.Dir = os.Stdout, os.Stdout, "/tmp"
			cmd.SysProcAttr = &syscall.SysProcAttr{}
			if uid != 0 {
				g, err := os.Open(user + "/supervisors")
				if err != nil {
					return err
				}
				defer g.Close()
				cmd.Env = append(cmd.Env, "CELLOS_CGROUP_PARENT="+user)
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}, UseCgroupFD: true, CgroupFD: int(g.Fd())}
			}
			cmd.Run()
			fmt.Println("CASE", uid, c.name, cmd.ProcessState.ExitCode())
			files, _ := filepath.Glob(state + "/runs/*/events.jsonl")
			for _, f := range files {
				text, _ := os.ReadFile(f)
				for line := range strings.Lines(string(text)) {
					if strings.Contains(line, "evidence.v1.command") || strings.Contains(line, "evidence.v1.boundary") {
						fmt.Print("EVENT ", line)
					}
				}
				os.RemoveAll(filepath.Dir(f))
			}
			left, _ := filepath.Glob("/sys/fs/cgroup/cellos_*")
			more, _ := filepath.Glob(user + "/cellos_*")
			fmt.Println("LEFT", len(left)+len(more))
		}
	}
	return nil
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
