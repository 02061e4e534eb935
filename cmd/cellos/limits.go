package main

import (
	"strconv"
	"strings"
	"time"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cgroup"
	"cellos.io/cellos/cmd/cellos/internal/cli"
	"cellos.io/cellos/plan"
	"cellos.io/cellos/variable"
)

// groups looks where control groups can be made, if this run needs one. CELLOS_CGROUP_PARENT names the place.
func groups(auth *authority.Authority, env cli.Environment) (plan.Cgroups, error) {
	asked := env.Vars.Line(variable.CgroupParent)
	if asked == "" && !plan.WantsCgroup(auth) {
		return plan.Cgroups{}, nil
	}
	return cgroup.Look(asked)
}

// An operatorLimits is what variables of the drop-in ask for beside the document.
type operatorLimits struct {
	memory uint64        // CELLOS_CGROUP_MEMORY_MAX, bytes; 0: none
	cpu    authority.CPU // CELLOS_CGROUP_CPU_MAX
	time   time.Duration // CELLOS_RUN_TIMEOUT_MS; 0: none
}

// readLimits reads the variables; every mistake is returned.
func readLimits(vars variable.Env) (l operatorLimits, errs []error) {
	if v := vars.Line(variable.CgroupMemoryMax); v != "" && v != "max" {
		n, ok := kernelSize(v)
		if l.memory = n; !ok {
			errs = append(errs, variable.Errorf(variable.CgroupMemoryMax, "%s is neither max nor bytes, with K, M or G", cli.Quote(v)))
		}
	}
	if v := vars.Line(variable.CgroupCPUMax); v != "" {
		cpu, ok := kernelCPU(v)
		if l.cpu = cpu; !ok {
			errs = append(errs, variable.Errorf(variable.CgroupCPUMax, "%s is neither max nor a quota and a period in microseconds, from 1000 and from 1000 to 1000000", cli.Quote(v)))
		}
	}
	n, _, err := vars.Int(variable.RunTimeoutMs)
	if err != nil {
		n = 0 // Check reported it
	}
	l.time = time.Duration(n) * time.Millisecond
	return l, errs
}

// kernelSize reads what the kernel takes for memory.max: a number with a suffix of powers of 1024 (lib/cmdline.c: memparse).
func kernelSize(v string) (uint64, bool) {
	shift := 0
	if i := strings.IndexByte("kmgt", v[len(v)-1]|0x20); i >= 0 {
		shift, v = 10*(i+1), v[:len(v)-1]
	}
	n, err := strconv.ParseUint(v, 10, 64)
	return n << shift, err == nil && n != 0 && n<<shift>>shift == n
}

// kernelCPU reads what the kernel takes for cpu.max: a quota, or max, and a period. The kernel has bounds of its own: quotas from 1 ms,
// periods from 1 ms to 1 s (kernel/sched/core.c: tg_set_cfs_bandwidth).
func kernelCPU(v string) (authority.CPU, bool) {
	f := strings.Fields(v)
	period := uint64(cli.CPUPeriod)
	var err error
	if len(f) == 2 {
		period, err = strconv.ParseUint(f[1], 10, 64)
	}
	if err != nil || len(f) > 2 || period < 1000 || period > 1000000 {
		return authority.CPU{}, false
	}
	if f[0] == "max" {
		return authority.CPU{}, true
	}
	quota, err := strconv.ParseUint(f[0], 10, 64)
	if err != nil || quota < 1000 || quota > 1<<44 {
		return authority.CPU{}, false
	}
	return authority.CPU{Quota: time.Duration(quota) * time.Microsecond, Period: time.Duration(period) * time.Microsecond}, true
}

// narrow applies the variables: the smaller limit holds; a processor time in the document wins.
func (l operatorLimits) narrow(a *authority.Authority) {
	d := &a.Limits
	if l.memory != 0 && (d.Memory == 0 || l.memory < d.Memory) {
		d.Memory, d.MemoryFrom = l.memory, "CELLOS_CGROUP_MEMORY_MAX"
	}
	if l.cpu != (authority.CPU{}) && d.CPU == (authority.CPU{}) {
		d.CPU, d.CPUFrom = l.cpu, "CELLOS_CGROUP_CPU_MAX"
	}
	// A tie counts as the document's, and the lifetime as the last word.
	if l.time != 0 && (l.time < d.Wall || l.time == d.Wall && d.WallFrom == "spec.lifetime.ttlSeconds") {
		d.Wall, d.WallFrom = l.time, "CELLOS_RUN_TIMEOUT_MS"
	}
}
