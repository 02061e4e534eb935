package seccomp

import (
	"testing"
	"time"

	"cellos.io/cellos/sysabi"
)

// TestKernelRefusesWhatProfilesRefuse makes, under each profile, every call that it answers with an error number, and compares the
// kernel's answer. Calls that it allows are not made. ENOSYS of an x32 number may also come from a kernel without that ABI.
func TestKernelRefusesWhatProfilesRefuse(t *testing.T) {
	a := sysabi.NativeArch()
	if a == nil {
		t.Skip("no system call table for this architecture")
	}
	for _, name := range []string{"hardened", "hardened+net-none", "hardened+debug"} {
		p, err := Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := Compile(p, a)
		if err != nil {
			t.Fatal(err)
		}
		type attempt struct {
			nr   uint32
			args [6]uintptr
			want sysabi.Errno
			got  sysabi.Errno
		}
		var all []attempt
		for nr := uint32(0); nr < numbers; nr++ {
			for _, n := range []uint32{nr, nr | sysabi.X32_SYSCALL_BIT} {
				for _, v := range []uint64{0, 1, 2, 3, 9, 16, 38, 40, 0x2000, 0x6000, 0x5412, 0x541c, 0x541d, 0x5423, 0x7e020000, 0x10000000, 0x40000, 0x5412 | 1<<32} {
					d := Data{NR: n, Arch: a.Audit(), Args: [6]uint64{v, v, v, v, v, v}}
					o, err := prog.Run(d)
					if err != nil {
						t.Fatal(err)
					}
					if e, ok := o.Action.Errno(); ok {
						u := uintptr(v)
						all = append(all, attempt{nr: n, args: [6]uintptr{u, u, u, u, u, u}, want: e})
					}
				}
			}
		}
		onThread(t, prog, func(time.Duration) {
			for i := range all {
				_, all[i].got = sysabi.RawCall(uintptr(all[i].nr), all[i].args)
			}
		})
		for _, c := range all {
			if c.got != c.want {
				call, _ := a.Name(int(c.nr))
				t.Errorf("%s: %s (%#x) with %#x: %v, want %v", name, call, c.nr, c.args[0], c.got, c.want)
			}
		}
		if len(all) < 2000 {
			t.Errorf("%s: only %d attempts", name, len(all))
		}
	}
}
