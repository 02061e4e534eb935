//go:build linux

// Package contract is what every backend must do, as tests: the same commands, with the same answers, in the cells of each.
//
//	func TestContract(t *testing.T) {
//		contract.Test(t, contract.Subject{Backend: process.Backend{}, Plan: plan.For})
//	}
//
// It drives a backend as the supervisor does (cell.Backend) and, where the supervisor has a part in it, whole runs with their
// evidence. A backend that answers differently where a case asks is wrong; one that cannot do what a case asks refuses it in its plan, and
// names the case in Refuses with words of that refusal, which is then what the case demands.
package contract

import (
	"maps"
	"slices"
	"sync"
	"testing"

	"cellos.io/cellos/authority"
	"cellos.io/cellos/cell"
	"cellos.io/cellos/plan"
)

// A Subject is a backend under test.
type Subject struct {
	Backend cell.Backend
	// Plan plans for it.
	Plan func(*authority.Authority, plan.Host) (*plan.Plan, error)
	// Refuses are the cases whose documents the plan must refuse, by name, with words of the refusal.
	Refuses map[string]string
	// Lacks are the cases that the backend fails although its plan takes the document, with the reason. docs/backends.md lists each.
	Lacks map[string]string
	// Only are the cases that are tried; none: all are.
	Only []string
	// Ready waits until a cell of a plan can be built without waiting for anything, such as a machine; nil: it always can.
	Ready func(*plan.Plan)
	// Slow is a backend whose cells take seconds: cases that only start commands run beside each other, and of what is tried with several
	// values the first and the last are.
	Slow bool
	// InTurn and AtOnce are how many cells are made one after the other and at the same time; 100 and 20 if zero. A backend whose cells
	// take seconds may be tried with fewer.
	InTurn, AtOnce int

	settled *sync.Once
}

// A test is one case of the contract.
type test struct {
	name string
	run  func(t *testing.T, s Subject)
}

// few returns the values to try: all, or of a slow backend the first and the last.
func few[T any](s Subject, values ...T) []T {
	if s.Slow && len(values) > 2 {
		return []T{values[0], values[len(values)-1]}
	}
	return values
}

// Test tries every case. It may run as root or as an ordinary user. Cases are subtests named after what they try.
func Test(t *testing.T, s Subject) {
	if s.InTurn == 0 {
		s.InTurn = 100
	}
	if s.AtOnce == 0 {
		s.AtOnce = 20
	}
	s.settled = &sync.Once{}
	var known []string
	for _, list := range [][]test{lives, streams, ends, commands, files, terminals, networks, runs} {
		alone := &list[0] == &lives[0] // they look at what this process uses
		for _, c := range list {
			known = append(known, c.name)
			if len(s.Only) > 0 && !slices.Contains(s.Only, c.name) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				if why, lacks := s.Lacks[c.name]; lacks {
					t.Skip(why)
				}
				if s.Slow && !alone {
					t.Parallel()
				}
				c.run(t, s)
			})
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(s.Refuses)), slices.Collect(maps.Keys(s.Lacks)), s.Only) {
		if !slices.Contains(known, name) {
			t.Errorf("%q is no case of the contract", name)
		}
	}
}
