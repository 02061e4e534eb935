// Package guest is the conversation between a supervisor (the host) and the first process of a virtual machine (the guest), over one
// byte stream.
//
//	host                                        guest
//	  ◀───────────────────────────────── HELLO  what it is
//	SECRET* CONFIG… ───────────────────────▶    mounts the drives, builds the cell by the plan's table, probes it
//	judges  ◀─────────────────────────── READY  what the probes found, what its /proc shows
//	RESIZE* RELEASE ───────────────────────▶    starts the command
//	  ◀───────────────────── STARTED or FAILED
//	STDIN* EOF SIGNAL* CLOSED* RESIZE* PING* ANSWER* ▶
//	  ◀────────────── STDOUT* STDERR* CREDIT* ASK* PONG*
//	  ◀──────────────────────────────────── EXIT  everything of the cell has ended
//	  ◀────────────────────────────── CHANGES*  what changed in the working directory, as tar
//	EXPORT* ───────────────────────────────▶
//	  ◀──────────────────────────── FILE* DATA*   a file as the command left it
//	ACK ───────────────────────────────────▶    powers off
//
// ERROR ends the conversation from the guest's side at any time. docs/guest.md is the contract in full.
//
// The host takes the guest for hostile: it may have been taken over by what runs in it. [Host] therefore knows which message may come
// when, no length makes it allocate more than a frame, and every text is cut to a bound before it is kept. A violation ends the cell.
//
// The package moves bytes. It starts no machine and mounts nothing: backend/microvm and guest/agent do.
package guest
