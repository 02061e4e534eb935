package scrub

import (
	"runtime"
	"slices"

	"cellos.io/cellos/secret"
)

// A finder finds every spelling of every value in a text, in one pass. It is not changed after newFinder returned it.
type finder struct {
	plain, coded automaton
	idle         [256]bool // no spelling begins with this byte
}

func newFinder(values []secret.Value) *finder {
	f := &finder{plain: newAutomaton(), coded: newAutomaton()}
	for _, v := range values {
		v.Use(func(b []byte) error {
			plain, coded := spellings(b)
			f.plain.insert(plain)
			f.coded.insert(coded)
			return nil
		})
	}
	f.plain.link()
	f.coded.link()
	for b := range f.idle {
		f.idle[b] = f.plain.first[b] == 0 && f.coded.first[b] == 0
	}
	// The states spell the values: they are wiped as values are.
	runtime.AddCleanup(f, func(n [2][]node) { clear(n[0]); clear(n[1]) }, [2][]node{f.plain.nodes, f.coded.nodes})
	return f
}

// An automaton is that of Aho and Corasick (CACM 18, 6, 1975): state 0 is the root, and a state stands for the longest end of the text so far
// that is a beginning of a pattern.
type automaton struct {
	nodes []node
	first [256]int32 // the children of the root
}

type node struct {
	fail   int32 // state of the longest proper end of this one's text
	wait   int32 // length of the longest end of its text that goes on in a pattern
	match  int32 // length of the longest pattern that ends here; 0: none
	child  int32 // its first child; 0: none
	beside int32 // the next child of its parent; 0: none
	b      byte  // the last byte of its text
}

func newAutomaton() automaton { return automaton{nodes: make([]node, 1)} }

// child returns the child of a state for a byte; 0: none.
func (a *automaton) child(state int32, b byte) int32 {
	if state == 0 {
		return a.first[b]
	}
	n := a.nodes[state].child
	for n != 0 && a.nodes[n].b != b {
		n = a.nodes[n].beside
	}
	return n
}

func (a *automaton) insert(patterns [][]byte) {
	states := 0
	for _, p := range patterns {
		states += len(p)
	}
	a.nodes = slices.Grow(a.nodes, states) // growing bit by bit would leave copies behind
	for _, p := range patterns {
		if len(p) >= least {
			a.add(p)
		}
	}
}

func (a *automaton) add(pattern []byte) {
	state := int32(0)
	for i, b := range pattern {
		next := a.child(state, b)
		if next == 0 {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{b: b, wait: int32(i + 1), beside: a.nodes[state].child})
			a.nodes[state].child = next
			if state == 0 {
				a.first[b] = next
			}
		}
		state = next
	}
	a.nodes[state].match = int32(len(pattern))
}

// link sets where to go on when no child fits, level by level.
func (a *automaton) link() {
	level := make([]int32, 0, 64)
	for n := a.nodes[0].child; n != 0; n = a.nodes[n].beside {
		level = append(level, n) // a pattern has four bytes: these have children
	}
	for len(level) > 0 {
		var next []int32
		for _, parent := range level {
			for n := a.nodes[parent].child; n != 0; n = a.nodes[n].beside {
				f := a.step(a.nodes[parent].fail, a.nodes[n].b)
				a.nodes[n].fail = f
				a.nodes[n].match = max(a.nodes[n].match, a.nodes[f].match)
				if a.nodes[n].child == 0 {
					a.nodes[n].wait = a.nodes[f].wait
				}
				next = append(next, n)
			}
		}
		level = next
	}
}

// step returns the state after one more byte.
func (a *automaton) step(state int32, b byte) int32 {
	for state != 0 {
		if n := a.child(state, b); n != 0 {
			return n
		}
		state = a.nodes[state].fail
	}
	return a.first[b]
}
