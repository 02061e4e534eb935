// Package authority is what a document grants: typed, closed, with every default written out.
//
//	doc, err := document.Parse("cell.yaml", data)
//	a, err := authority.Of(doc, authority.Place{WorkingDirectory: "/src"})
//	a.Files.At("/usr/share") // Read|Exec
//
// Nothing is granted that is not in an Authority, and nothing here depends on a machine: whether a host can
// enforce it is the question of package plan. The package does no I/O.
package authority

import (
	"time"

	"cellos.io/cellos/seccomp"
)

// An Authority is everything that one command may do. Its values are not changed after Of returned it.
type Authority struct {
	ID       string     // the cell's name, spec.id
	Command  Command    // what runs; Argv is empty when the document has no run
	Work     Work       // the working directory
	Image    *Image     // whose files the cell has in place of the system's; nil: the system's
	Files    Grants     // granted paths besides the working directory and the system directories
	Syscalls string     // seccomp profile: "hardened", "strict", …
	Filters  []Filter   // further seccomp filters; each can only narrow
	Watch    Watch      // which system calls the supervisor is asked about
	Limits   Limits     // how much
	Network  []Rule     // names and ports that may be reached; empty means none
	Names    Names      // what the document says about names: resolvers, list, addresses
	Portable bool       // a layer that only repeats another one may be missing on the host; no document can say it
	OnHost   bool       // the host's network, unfiltered, in place of one of its own; no document can say it
	Secrets  []string   // names of the secrets that are delivered
	Delivery string     // how: document.DeliverEnv, …
	Scrub    string     // who asks to have the values of secrets taken out of the output: spec.run.scrubOutput, a flag, a variable; "": nobody
	Identity *Identity  // nil: the command has no workload identity
	Exports  []Artifact // files that leave the cell
	Demands  []Demand   // further things that the document asks of a backend
	Clocks   bool       // a time namespace of its own
	Devices  []string   // device nodes of the host in the cell's /dev, besides those that every cell has; no document can say it
}

// A Command is what runs in the cell, and as whom.
type Command struct {
	Argv     []string   // at least one, as given
	Env      []Variable // the whole environment, in order
	Hostname string     // of the UTS namespace
	User     *User      // the ids that the command sees; nil: the plan chooses
	Terminal bool       // a terminal of its own on standard input, output and error
}

// Path is the PATH that a command has unless its document sets another one.
const Path = "/usr/bin:/bin:/usr/local/bin"

// Lookup returns the value of an environment variable of the command.
func (c Command) Lookup(name string) (string, bool) {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// A Variable is one environment variable.
type Variable struct{ Name, Value string }

// A User is a user and a group id as seen inside the cell. Neither is an id on the host.
type User struct{ UID, GID uint32 }

// Work is the working directory of the command.
type Work struct {
	Path string // absolute; the same inside and outside
	Mode Mode
	From string // where the document says so, for messages; "" if it is a default
}

// A Mode says what the cell's working directory is.
type Mode string

// The modes of a working directory.
const (
	Overlay Mode = "overlay" // the host's files, copy-on-write: changes go to the scratch space and are listed
	Read    Mode = "read"    // the host's files, not writable
	Write   Mode = "write"   // the host's files, written directly
	Empty   Mode = "empty"   // an empty folder in the scratch space
)

// An Image is that of the cell's system.
type Image struct {
	Ref    string // as the document writes it
	Digest string // "sha256:…", "" if the document pins none beside the reference
	From   string
}

// Limits bound what the command uses. Zero means that the document sets none.
type Limits struct {
	Lifetime            time.Duration // of the whole cell, always set
	Wall                time.Duration // of the command, from its start; at most Lifetime
	WallFrom            string        // the field that set Wall: spec.run.timeoutMs, or spec.lifetime.ttlSeconds
	Grace               time.Duration // between SIGTERM and SIGKILL when the time is over
	Memory              uint64        // bytes, of all processes together
	CPU                 CPU           // processor time, of all processes together
	MemoryFrom, CPUFrom string        // the fields, or variables, that set them
	Processes           uint64        // processes and threads at once
	OpenFiles           uint64        // descriptors of one process
	FileSize            uint64        // bytes, of one file
	Scratch             uint64        // bytes in the scratch space: /tmp, /dev/shm, changed files
	Output              uint64        // bytes on standard output and standard error together
}

// Defaults of Limits: what a cell gets whose document says nothing.
const (
	DefaultProcesses = 4096    // ends a fork bomb; a parallel build of 64 jobs needs a few hundred
	DefaultOpenFiles = 1024    // the soft limit that programs meet everywhere; the hard one is HardOpenFiles
	HardOpenFiles    = 65536   // servers and JVMs raise their own soft limit up to here
	DefaultScratch   = 1 << 30 // memory-backed, so a bound is a must; a build of a large program fits
)

// CPU is a share of processor time: Quota in each Period. The zero value is no limit.
type CPU struct{ Quota, Period time.Duration }

// A Filter narrows the system calls of the command further than the profile: the document's, or the operator's. Whoever reads its
// file fills one of Policy and Program in; Of has no files.
type Filter struct {
	Name    string          // the file, or the profile
	From    string          // who asks: spec.run.seccomp.file, CELLOS_SUBPROCESS_SECCOMP, …
	Policy  *seccomp.Policy // to be compiled, or
	Program seccomp.Program // of the machine's architecture
}

// A Watch says which system calls the supervisor answers, and so sees.
type Watch int

// What is watched. Allowed calls are never slower but under WatchEvery.
const (
	WatchNone    Watch = iota // the kernel answers all
	WatchRefused              // those that a filter refuses
	WatchEvery                // all
)

// An Identity is a credential that says who the workload is. It is delivered as the secret SecretRef.
type Identity struct {
	Audience, SecretRef string
	TTL                 time.Duration // at most the cell's
}

// An Artifact is a file that leaves the cell at its end.
type Artifact struct {
	Name, Path, Target string
	From               string // spec.export.artifacts[0]
	Source             string // the path in the cell, absolute: a relative one counts from where the document is read
}

// A Demand is a part of the document that a backend must enforce or refuse and that has no richer type here yet.
type Demand struct {
	From string // path in the document: spec.ingress
	What string // in words: "fetching inputs"
}
