// Command standin is, to whoever speaks its API, a Firecracker, and emulates the machine with QEMU: so that the driver, the transport over
// vsock and the guest can be tested to their end where no KVM carries a kernel. It takes Firecracker's command line, and two words more.
//
//	standin … --qemu /usr/bin/qemu-system-x86_64 --vsock /usr/bin/vhost-device-vsock
//
// What Firecracker does with a vsock device, a socket of the host for each port, the program vhost-device-vsock does for QEMU.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type standin struct {
	mu          sync.Mutex
	qemu, vsock string
	started     bool

	cpus, memory   int
	kernel, initrd string
	args, uds      string
	drives         []string // arguments of QEMU
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	var s standin
	socket := flag.String("api-sock", "", "")
	flag.String("id", "", "")
	flag.String("level", "", "")
	flag.StringVar(&s.qemu, "qemu", "", "")
	flag.StringVar(&s.vsock, "vsock", "", "")
	flag.Parse()
	l, err := net.Listen("unix", *socket)
	if err != nil {
		return err
	}
	return http.Serve(l, http.HandlerFunc(s.serve))
}

func (s *standin) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		json.NewEncoder(w).Encode(map[string]string{"app_name": "Firecracker", "id": "standin", "state": map[bool]string{false: "Not started", true: "Running"}[s.started], "vmm_version": "1.16.0"})
		return
	}
	var b struct {
		CPUs   int    `json:"vcpu_count"`
		Memory int    `json:"mem_size_mib"`
		Kernel string `json:"kernel_image_path"`
		Initrd string `json:"initrd_path"`
		Args   string `json:"boot_args"`
		UDS    string `json:"uds_path"`
		Path   string `json:"path_on_host"`
		Socket string `json:"socket"`
	}
	err := json.NewDecoder(r.Body).Decode(&b)
	if err == nil {
		switch name := filepath.Base(r.URL.Path); {
		case r.URL.Path == "/machine-config":
			s.cpus, s.memory = b.CPUs, b.Memory
		case r.URL.Path == "/boot-source":
			s.kernel, s.initrd = b.Kernel, b.Initrd
			// QEMU's machine has a PCI bus, and restarts by a triple fault.
			s.args = strings.NewReplacer(" pci=off", "", "reboot=k", "reboot=t").Replace(b.Args)
		case strings.HasPrefix(r.URL.Path, "/drives/") && b.Socket != "":
			s.drives = append(s.drives, "-chardev", "socket,id="+name+",path="+b.Socket, "-device", "vhost-user-blk-pci,num-queues=1,chardev="+name)
		case strings.HasPrefix(r.URL.Path, "/drives/"):
			var st syscall.Stat_t
			if err = syscall.Stat(b.Path, &st); err == nil {
				serial := fmt.Sprintf("%d%d%d", st.Dev, st.Rdev, st.Ino)
				s.drives = append(s.drives, "-blockdev", "driver=raw,node-name="+name+",read-only=on,file.driver=file,file.locking=off,file.filename="+b.Path,
					"-device", "virtio-blk-pci,drive="+name+",serial="+serial[:min(len(serial), 20)])
			}
		case r.URL.Path == "/vsock":
			s.uds = b.UDS
		case r.URL.Path == "/actions":
			err = s.start()
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"fault_message": err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// start starts QEMU; this program ends with it.
func (s *standin) start() error {
	control := filepath.Join(filepath.Dir(s.uds), "vsock-device")
	device := exec.Command(s.vsock, "--guest-cid", "3", "--socket", control, "--uds-path", s.uds)
	device.Stdout, device.Stderr = os.Stdout, os.Stderr
	if err := device.Start(); err != nil {
		return err
	}
	for {
		if _, err := os.Lstat(control); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	memory := strconv.Itoa(s.memory) + "M"
	args := []string{"-machine", "q35,usb=off,smbus=off,sata=off,vmport=off,i8042=off,hpet=off,graphics=off,memory-backend=memory", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-object", "memory-backend-memfd,id=memory,share=on,size=" + memory, "-m", memory, "-smp", strconv.Itoa(s.cpus), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", s.kernel, "-initrd", s.initrd, "-append", s.args, "-chardev", "file,id=console,path=/dev/stderr", "-serial", "chardev:console",
		"-chardev", "socket,id=vsock,path=" + control, "-device", "vhost-user-vsock-pci,chardev=vsock"}
	q := exec.Command(s.qemu, append(args, s.drives...)...)
	q.Stdout, q.Stderr = os.Stdout, os.Stderr
	if err := q.Start(); err != nil {
		return err
	}
	s.started = true
	go func() {
		err := q.Wait()
		device.Process.Kill()
		if err != nil {
			fmt.Fprintln(os.Stderr, "standin: QEMU:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}()
	return nil
}
