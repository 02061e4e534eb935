// Package policyfile reads and writes seccomp policies as text: in YAML or JSON of our own, and in the JSON of the OCI runtime
// specification (linux.seccomp) that container engines use.
//
//	name: scanner
//	extends: strict            # optional: a profile; the rules below replace its rules for the same calls
//	default: errno ENOSYS      # for calls without a rule; not together with extends
//	exec: once                 # optional: the command is started and executes nothing more; strict has it
//	rules:
//	  - calls: [getpid, getppid]
//	    action: allow
//	  - calls: [socket]
//	    when:                  # the first that holds decides
//	      - if: [{arg: 0, width: 32, is: 1}]
//	        action: allow
//	    action: errno EAFNOSUPPORT
//
// A condition names an argument, the width that the kernel reads of it (32 or 64), if need be a mask, and one test: is, in, not,
// not_in, any_bit, no_bit, at_least, at_most, from and to, ranges, or signed_from and signed_to.
//
// Every mistake in a file is reported, not the first alone. The package does not compile policies; seccomp.Compile does. It is apart
// from package seccomp because the YAML library costs start-up time.
package policyfile
