// Package cellinit is the first process (PID 1) of a cell and the supervisor's side of the conversation with it.
//
// The process is a static program of 5 KiB without a library, whose source is in src and whose bytes for both
// architectures are embedded ([Binary]); build.sh makes them again. It needs nothing from the cell's file system. It
// makes the boundary probes from where the command will stand, waits for the release, starts the command, passes
// signals on, reaps orphans, and reports how the command ended. It speaks on its descriptor 3, one end of a
// SOCK_SEQPACKET pair; its arguments and environment are the command's.
//
//	conn, err := cellinit.NewConn(ours)              // the other end became descriptor 3
//	err = conn.Send(cellinit.Boot{Probes: probes, Candidates: []string{"/bin/true"}})
//	ready, err := conn.Receive()                     // cellinit.Ready: the results of the probes
//	loaded, err := conn.ReceiveLoaded()              // cellinit.Loaded or cellinit.Failed; only with filters in Boot
//	err = conn.Send(cellinit.Release{})
//	running, err := conn.Receive()                   // cellinit.Running or cellinit.Failed
//	exit, err := conn.Receive()                      // cellinit.Exit
//	err = conn.Send(cellinit.End{})
//
// The messages and their order are drawn in src/protocol.h. What the process has open besides 0 to 3 stays open until the
// command runs, so that the supervisor can take copies (pidfd_getfd(2)); then it closes everything but 3. The command
// gets 0, 1 and 2 only, an empty signal mask, default dispositions and a session of its own.
//
// When the connection ends, so does the process, and with PID 1 the kernel ends the whole pid namespace. Run as another
// process than PID 1, as tests do, it signals the command's process group where it would signal the whole cell.
//
// The package does not judge the results of probes, and it does not start the process: packages plan and spawn do.
package cellinit
