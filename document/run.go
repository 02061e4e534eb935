package document

// How secrets reach the command.
const (
	DeliverEnv                 = "env"                 // as environment variables
	DeliverRuntimeBroker       = "runtimeBroker"       // fetched through the supervisor
	DeliverRuntimeLeasedBroker = "runtimeLeasedBroker" // fetched through the supervisor, as leases; the default
)

// A Run is the command of the cell.
type Run struct {
	Argv             []string `json:"argv" doc:"required,min=1,format=text"`
	WorkingDirectory *string  `json:"workingDirectory" doc:"format=text"`
	TimeoutMs        *int64   `json:"timeoutMs" doc:"min=1"` // milliseconds; at most the cell's lifetime
	Limits           *Limits  `json:"limits"`
	SecretDelivery   string   `json:"secretDelivery" doc:"default=runtimeLeasedBroker,enum=env|runtimeBroker|runtimeLeasedBroker"`

	Environment   map[string]string `json:"environment" doc:"omit,keys=variable,format=nonul"`
	Seccomp       *Seccomp          `json:"seccomp" doc:"omit"` // nil: the backend's default profile
	Terminal      bool              `json:"terminal" doc:"nonull,omit"`
	User          *User             `json:"user" doc:"omit"` // nil: the plan chooses
	Hostname      *string           `json:"hostname" doc:"omit,format=label"`
	TimeNamespace bool              `json:"timeNamespace" doc:"nonull,omit"`
	// ScrubOutput has the values of the secrets taken out of what the command prints.
	ScrubOutput bool `json:"scrubOutput" doc:"nonull,omit"`
}

// Limits bound what the command may use. nil means no limit of its own.
type Limits struct {
	MemoryMaxBytes          *int64  `json:"memoryMaxBytes" doc:"min=1"`
	CPUMax                  *CPUMax `json:"cpuMax"`
	GracefulShutdownSeconds *int64  `json:"gracefulShutdownSeconds" doc:"omit,min=1,max=120"`

	Processes     *int64 `json:"processes" doc:"omit,min=1,max=4194304"`  // PID_MAX_LIMIT, include/linux/threads.h
	OpenFiles     *int64 `json:"openFiles" doc:"omit,min=16,max=1048576"` // descriptors per process; fs.nr_open's default
	FileSizeBytes *int64 `json:"fileSizeBytes" doc:"omit,min=1"`          // of each file written
	ScratchBytes  *int64 `json:"scratchBytes" doc:"omit,min=65536"`       // of all private file systems together
	OutputBytes   *int64 `json:"outputBytes" doc:"omit,min=1"`            // of standard output and error together
}

// CPUMax is a share of processor time: QuotaMicros in every PeriodMicros (cpu.max of cgroup v2).
type CPUMax struct {
	QuotaMicros  int64  `json:"quotaMicros" doc:"required,min=1000"`     // kernel/sched/core.c: min_cfs_quota_period
	PeriodMicros *int64 `json:"periodMicros" doc:"min=1000,max=1000000"` // nil: 100000
}

// Seccomp chooses the system calls that the command may make.
type Seccomp struct {
	// Profile is baseline, hardened or strict, with +net-none and +debug added if need be: "hardened+net-none".
	Profile string `json:"profile" doc:"default=hardened,format=seccomp"`
	// File is a policy or a program of the host that narrows the profile further: YAML or JSON of our own, linux.seccomp of the OCI
	// runtime specification, or classic BPF.
	File *string `json:"file" doc:"omit,format=hostpath"`
	// FileDigest is what File must contain.
	FileDigest *string `json:"fileDigest" doc:"omit,format=digest"`
	// ReportRefusals has the supervisor answer the calls that are refused, so that the record says which they were. Allowed calls cost
	// nothing more; a refused one some ten microseconds.
	ReportRefusals bool `json:"reportRefusals" doc:"nonull,omit"`
}

// User holds the ids that the command sees itself as.
type User struct {
	UID int64 `json:"uid" doc:"required,max=65534"`
	GID int64 `json:"gid" doc:"required,max=65534"`
}
