// Package admission decides whether a document may run at all: what the operator's policy pack, authorization policy, keys and
// variables say about it. It is pure: reading variables and files is the command line's, and what a path of the host leads to it asks a
// function.
//
//	d := admission.Configuration{Pack: p, Policy: z, …}.Decide(doc)
//	for _, r := range d.Refusals { … }   // every gate was asked, and everything that is wrong is here
//
// The parts are packages of their own below this one: pack, authz, token, keyset, and strict for signatures.
package admission
