package main

import (
	"cellos.io/cellos/cmd/cellos/internal/records"
	"cellos.io/cellos/cmd/cellos/internal/sinks"
)

const runUsage = `usage: cellos run [FLAGS] -- COMMAND [ARGUMENT...]
       cellos run [--events DEST] [--quiet] DOCUMENT

Runs a command in a cell. It sees the system's programs, read-only, and a copy-on-write view of the working directory;
nothing else of the host, no network, no environment. Flags grant more:

  --read PATH[:DEST]      show a file or folder, read-only
  --write PATH[:DEST]     show it, and let the command change it on the host
  --exec PATH[:DEST]      show it, and let the command run programs in it
  --workdir DIR[:MODE]    working directory, default: the current one. Modes: overlay (copy-on-write, the default),
                          read, write (changes the host's files), empty (a new folder, DIR is only its name)
  --env NAME[=VALUE]      set a variable; without a value, yours. PATH is always set
  --secret NAME[=FILE]    deliver your variable NAME, or what a file holds, as a variable whose value is in no record
  --inject NAME=HOST[:PORT][/HEADER]
                          let the command reach HOST over HTTPS, and put your variable NAME into the header of each request, default:
                          Authorization: Bearer; the command gets a placeholder. With --secret NAME=FILE: what the file holds
  --user UID[:GID]        ids that the command sees; on the host it is never root
  --tty, -t               a terminal of its own
  --hostname NAME         default: cell
  --image IMAGE           the files of an OCI image in place of the system's, in a virtual machine: oci:DIR, oci-archive:FILE,
                          docker-archive:FILE, or NAME@sha256:HEX that cellos image build got from a registry
  --time-namespace        a time namespace of its own
  --net NAME[:PORT[/PROTOCOL]]
                          let the command reach a name, or an address; without a port: 443. Repeat it for more.
                          none: no network (the default). host: the host's own network, unfiltered, which is recorded
  --dns SERVER            ask this server for names: ADDRESS[:PORT], tcp://…, tls://…, https://…; default: the host's
  --private NAME=ADDRESS  let a granted name lead to a private address, or to a PREFIX of them

Backend:
  --backend process       namespaces, filters and Landlock on the host's kernel (the default)
  --backend gvisor        gVisor's kernel between the command and the host's (docs/backends.md)
  --backend microvm       a virtual machine: the command gets a kernel of its own
  --pool                  one that cellos pool start has booted, or none; --pool=prefer boots one where none is ready

Limits:
  --time 30s              wall-clock time; --grace 5s between SIGTERM and SIGKILL when it is over
  --pids 64               processes and threads at once, default 4096
  --memory 256MiB  --cpus 0.5
  --nofile 256            open files of one process, default 1024 (65536 on request)
  --file-size 1GiB        of one file
  --scratch 1GiB          /tmp, /dev/shm and changed files together; in memory
  --output 1MiB           standard output and error together
  --seccomp PROFILE       hardened (default), strict (computation only), baseline (weaker); +net-none, +debug
  --seccomp FILE          narrow the profile further by a policy or a program: cellos help seccomp
  --report-refusals       say which system calls were refused, by which filter, and what would allow them

Record:
  --file DOCUMENT         the same as DOCUMENT
  --name NAME             name of the cell in the record, default: that of the program
  --events DEST           write the events to a file too; - is standard output
` + sinks.SinkUsage + records.SignerUsage + `  --scrub-output          take the values of secrets out of what the command prints: docs/secrets.md
  --durable               every event survives a crash of the machine before the run goes on (fsync)
  --watch                 tell at once what the network refused, not at the end
  --quiet, -q             no hints and notes
`

var runFlagNames = []string{"--backend", "--pool", "--durable", "--scrub-output", "--watch", "--quiet"}
