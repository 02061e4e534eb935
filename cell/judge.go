package cell

import (
	"fmt"
	"strings"

	"cellos.io/cellos/plan"
	"cellos.io/cellos/sysabi"
)

// A View is what was seen of a layer from outside.
type View struct {
	Saw   string
	Holds bool
}

// Judge joins the results of a plan's probes (what the kernel returned, one each) with what was seen from outside, by layer. A promise
// that neither side measured does not hold.
func Judge(p *plan.Plan, results []int64, outside map[string]View) Boundary {
	var b Boundary
	inside := map[string][]string{}
	made := map[string]int{}
	for i, q := range p.Boot.Probes {
		made[q.Layer]++
		x := Probe{Probe: q, Got: got(q, results[i]), Holds: q.Holds(results[i])}
		b.Probes = append(b.Probes, x)
		if !x.Holds {
			inside[q.Layer] = append(inside[q.Layer], fmt.Sprintf("%s: %s instead of %s", q.Name, x.Got, q.Expects()))
		}
	}
	for _, promise := range p.Promises {
		o, seen := outside[promise.Layer]
		failed := len(inside[promise.Layer]) > 0
		l := Layer{Name: promise.Layer, Promised: promise.What, Outside: o.Saw, Holds: !failed && (o.Holds || !seen)}
		switch n := made[promise.Layer]; {
		case failed:
			l.Inside = strings.Join(inside[promise.Layer], "; ")
		case n > 0:
			l.Inside = fmt.Sprintf("%d of %d probes answered as they must", n, n)
		case !seen:
			l.Holds, l.Outside = false, "not measured"
		}
		b.Layers = append(b.Layers, l)
	}
	return b
}

// got names the answer to a system call.
func got(p plan.Probe, r int64) string {
	switch {
	case r < 0 && r >= -4095:
		return sysabi.Errno(-r).Name()
	case p.Exact:
		return fmt.Sprint(r)
	}
	return "success"
}
