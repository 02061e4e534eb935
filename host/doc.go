// Package host looks at the machine that cellos runs on, and describes it as data for package plan.
//
//	h, err := host.Describe(plan.Paths(a))
//	p, err := plan.For(a, h)
//
// It only looks. It changes nothing, starts nothing, and does not decide what follows from what it saw.
package host
