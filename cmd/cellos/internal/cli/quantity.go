package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseSize reads a number of bytes: 4096, 64KiB, 256M, 1.5GiB. K, M, G and T are powers of 1024, as podman and systemd read them.
func ParseSize(s string) (int64, error) {
	num := strings.TrimRight(s, "KMGTiBkmgtb")
	unit := strings.ToLower(s[len(num):])
	shift, ok := map[string]uint{"": 0, "b": 0, "k": 10, "kib": 10, "kb": 10, "m": 20, "mib": 20, "mb": 20, "g": 30, "gib": 30, "gb": 30, "t": 40, "tib": 40, "tb": 40}[unit]
	n, err := strconv.ParseFloat(num, 64)
	if !ok || err != nil || math.IsNaN(n) || strings.ContainsAny(num, "eExXpP_+") {
		return 0, errors.New("not a size; write 4096, 64KiB, 256MiB or 1.5GiB")
	}
	n *= float64(uint64(1) << shift)
	if n < 1 || n > math.MaxInt64/2 {
		return 0, errors.New("out of range")
	}
	return int64(n), nil
}

// ParseTime reads a time limit: 30s, 5m, 1h30m, or a number of seconds.
func ParseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		n, nerr := strconv.ParseFloat(s, 64)
		if nerr != nil || math.IsNaN(n) || n > 1e9 {
			return 0, errors.New("not a time; write 30s, 500ms, 5m or 1h30m")
		}
		d = time.Duration(n * float64(time.Second))
	}
	if d < time.Millisecond {
		return 0, errors.New("a time limit is at least 1ms")
	}
	return d, nil
}

// ParseCPUs reads a number of processors: 0.5, 2.
func ParseCPUs(s string) (quotaMicros int64, err error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || n < 0.01 || n > 4096 {
		return 0, errors.New("not a number of processors between 0.01 and 4096")
	}
	return int64(n * CPUPeriod), nil
}

// cpuPeriod is the period of --cpus in microseconds, the kernel's default.
const CPUPeriod = 100000

// ParseUser reads UID or UID:GID.
func ParseUser(s string) (uid, gid int64, err error) {
	u, g, both := strings.Cut(s, ":")
	if !both {
		g = u
	}
	for _, x := range []struct {
		s string
		n *int64
	}{{u, &uid}, {g, &gid}} {
		n, err := strconv.ParseUint(x.s, 10, 16)
		if err != nil || n > 65534 {
			return 0, 0, fmt.Errorf("%q is no id between 0 and 65534", x.s)
		}
		*x.n = int64(n)
	}
	return uid, gid, nil
}
