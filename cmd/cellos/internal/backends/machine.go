//go:build linux && (amd64 || arm64)

package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"cellos.io/cellos/admission"
	"cellos.io/cellos/authority"
	"cellos.io/cellos/backend/microvm"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/guest/agent"
	"cellos.io/cellos/image"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// Machine is the life of a virtual machine.
func Machine() { agent.Run() }

// machines is the backend of virtual machines. Strict is how the drop-in asks for it: what boots has to be pinned by a manifest.
func machines(env cli.Environment, strict bool) (Chosen, error) {
	b, err := microVM(env, strict)
	if err != nil {
		return Chosen{}, err
	}
	boots := &Booted{}
	boots.Manifest, _ = env.Vars.Path(variable.FirecrackerManifest)
	img := &imageRoot{store: b.Store}
	return Chosen{
		Name: backendMicroVM, Boots: boots, Asks: true,
		Own:  []string{b.Store.Dir()},
		Tree: img.tree,
		Plan: func(a *authority.Authority, h plan.Host) (*plan.Plan, error) {
			ctx, stop := signalled()
			defer stop()
			var root *plan.Root
			if a.Image != nil {
				if root, err = img.plan(ctx, a); err != nil {
					return nil, err
				}
			}
			if err := boots.check(ctx, b, root); err != nil { // before anything boots, also to learn
				return nil, err
			}
			b = b.Accelerated(ctx)
			facts, err := b.LearnFacts(ctx)
			if err != nil {
				return nil, err
			}
			b.Facts = facts
			facts.Root = root
			return plan.ForGuest(a, h, facts)
		},
		Cells: func(p process.Backend) cell.Backend {
			b.Calls = p.Calls
			return b
		},
	}, nil
}

// signalled ends with this process's signals: the first run makes images and starts the kernel to learn what it is, and whoever waits for that can
// end it.
func signalled() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// microVM finds what virtual machines need.
func microVM(env cli.Environment, strict bool) (b microvm.Backend, err error) {
	vars := env.Vars
	if b.Monitor, err = monitor(vars, strict); err != nil {
		return b, err
	}
	kernel, err := absolute(vars, variable.FirecrackerKernel)
	if err != nil {
		return b, err
	}
	if b.Kernel, err = image.FindKernel(kernel, "/boot", "/lib/modules", runtime.GOARCH); err != nil {
		return b, cli.NewMistake("virtual machines: "+err.Error(), "install a kernel for virtual machines (Debian: linux-image-cloud-amd64), or name one with "+string(variable.FirecrackerKernel))
	}
	manifest, err := absolute(vars, variable.FirecrackerManifest)
	if err != nil {
		return b, err
	}
	switch without, err := WithoutManifest(vars); {
	case err != nil:
		return b, err
	case manifest != "" && without:
		return b, variable.Errorf(variable.FirecrackerManifest, "a manifest, and the wish for none")
	case manifest != "":
		if b.Manifest, err = readManifest(vars, manifest); err != nil {
			return b, err
		}
	case strict && !without && !slices.Contains(vars.List(variable.CompatAllow), string(admission.NoManifest)):
		return b, cli.NewMistake("virtual machines: what boots has to be pinned: "+string(variable.FirecrackerManifest)+" is not set", "cellos image list shows the digests; or run with --backend microvm, or let it pass with CELLOS_COMPAT_ALLOW=no-manifest")
	}
	dir, err := imageDir(env)
	if err != nil {
		return b, err
	}
	if b.Store, err = image.Open(dir); err != nil {
		return b, err
	}
	switch elf, err := unpacked(b.Store, b.Kernel); b.Monitor.(type) {
	case microvm.Firecracker:
		if err != nil {
			return b, err
		}
		b.Kernel = elf
	case microvm.QEMU: // which takes both, and boots the unpacked one faster
		if err == nil && (elf.Format != "ELF" || image.PVH(elf.Path) == nil) {
			b.Kernel = elf
		}
	}
	b.Program, err = firstProcess()
	return b, err
}

// unpacked is the kernel as Firecracker takes it. A kernel that is packed is unpacked once, by a program beside this one.
func unpacked(s *image.Store, k image.Kernel) (image.Kernel, error) {
	elf, err := s.ELF(k)
	if !errors.Is(err, image.ErrPacked) {
		return elf, err
	}
	program, err := cli.Besides("cellos-image", "unpacking the kernel "+k.Path, ", or name an uncompressed kernel (vmlinux-RELEASE) with "+string(variable.FirecrackerKernel))
	if err != nil {
		return k, err
	}
	if err := imageProgram(context.Background(), program, s, nil, "kernel", k.Path); err != nil {
		return k, err
	}
	return s.ELF(k)
}

// imageProgram runs cellos-image, and reads what it says it made, where that is wanted.
func imageProgram(ctx context.Context, program string, s *image.Store, into any, args ...string) error {
	cmd := exec.CommandContext(ctx, program, append([]string{"-store", s.Dir()}, args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return errors.New(cli.OneLine(strings.TrimSpace(string(exit.Stderr))))
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", program, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("running %s: it does not say what it made", program)
	}
	return nil
}

// WithoutManifest reads the two variables that together ask for no manifest.
func WithoutManifest(vars variable.Env) (bool, error) {
	one, err1 := vars.One(variable.FirecrackerAllowNoManifest)
	two, err2 := vars.One(variable.FirecrackerAllowNoManifestReally)
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	if one != two {
		return false, variable.Errorf(variable.FirecrackerAllowNoManifest, "one of the two variables alone does nothing; %s is the other", variable.FirecrackerAllowNoManifestReally)
	}
	return one, nil
}

// monitor is the monitor that was chosen, if it can make machines here.
func monitor(vars variable.Env, strict bool) (microvm.Monitor, error) {
	m, err := chosenMonitor(vars, strict)
	f, ok := m.(microvm.Firecracker)
	if err != nil || !ok {
		return m, err
	}
	if err := microvm.CheckKVM(); err != nil {
		return nil, cli.NewMistake("virtual machines: Firecracker needs KVM: "+err.Error(), "let your user open the device (on most systems by its group, kvm), or "+insteadOfFirecracker)
	}
	if f.Program, err = filepath.EvalSymlinks(f.Program); err != nil {
		return nil, cli.NewMistake("virtual machines: "+err.Error(), "")
	}
	f.NoSeccomp, err = vars.One(variable.FirecrackerNoSeccomp)
	return f, err
}

const insteadOfFirecracker = "use QEMU: " + string(variable.MicroVMVMM) + "=qemu"

// chosenMonitor is Firecracker where it is named, else QEMU, which can also do without KVM.
func chosenMonitor(vars variable.Env, strict bool) (microvm.Monitor, error) {
	word, err := vars.Word(variable.MicroVMVMM)
	if err != nil {
		return nil, err
	}
	binary, err := absolute(vars, variable.FirecrackerBinary)
	if err != nil {
		return nil, err
	}
	if word == "qemu" || word == "" && !strict && binary == "" {
		return qemu()
	}
	if binary == "" {
		if binary, err = exec.LookPath("firecracker"); err != nil {
			return nil, cli.NewMistake("virtual machines: there is no firecracker in PATH", "name one with "+string(variable.FirecrackerBinary)+", or "+insteadOfFirecracker)
		}
	}
	return microvm.Firecracker{Program: binary, Arch: runtime.GOARCH}, nil
}

// qemu finds QEMU for the architecture of this machine.
func qemu() (microvm.Monitor, error) {
	name := map[string]string{"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}[runtime.GOARCH]
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, cli.NewMistake("virtual machines: there is no "+name, "install QEMU (Debian: qemu-system-x86, qemu-system-arm), or name a Firecracker with "+string(variable.FirecrackerBinary))
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	return microvm.QEMU{Program: path, Arch: runtime.GOARCH}, nil
}

func absolute(vars variable.Env, n variable.Path) (string, error) {
	p, _ := vars.Path(n)
	if p != "" && !filepath.IsAbs(p) {
		return "", variable.Errorf(n, "%s is not absolute", cli.Quote(p))
	}
	return p, nil
}

// imageDir is the folder of images.
func imageDir(env cli.Environment) (string, error) {
	dir, err := absolute(env.Vars, variable.Images)
	if err != nil || dir != "" {
		return dir, err
	}
	if os.Geteuid() == 0 {
		return "/var/cache/cellos/images", nil
	}
	if dir := env.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cellos/images"), nil
	}
	if home := env.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache/cellos/images"), nil
	}
	return "", cli.NewMistake("there is no place for images: HOME is not set", "set "+string(variable.Images)+" to a folder of your own")
}
