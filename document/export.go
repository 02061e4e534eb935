package document

// Export says what leaves the cell.
type Export struct {
	Artifacts []Artifact `json:"artifacts"`
	Targets   []Target   `json:"targets"`
}

// An Artifact is a file that is exported after the run.
type Artifact struct {
	Name        string  `json:"name" doc:"required,format=portable"` // unique per target
	Path        string  `json:"path" doc:"required,format=text"`
	Target      *string `json:"target" doc:"format=portable"` // nil: the only target, or the local one if there is none
	ContentType *string `json:"contentType"`
}

// The kinds of targets.
const (
	TargetHTTP = "http"
	TargetS3   = "s3"
)

// A Target takes artifacts. Which fields it has depends on Kind.
type Target struct {
	Kind      string  `json:"kind" doc:"required,enum=http|s3"`
	Name      string  `json:"name" doc:"required,format=portable"` // unique
	BaseURL   string  `json:"baseUrl" doc:"required,when=http,format=baseurl"`
	Bucket    string  `json:"bucket" doc:"required,when=s3,format=nonempty"`
	KeyPrefix *string `json:"keyPrefix" doc:"when=s3"`
	Region    *string `json:"region" doc:"when=s3"`
	SecretRef *string `json:"secretRef" doc:"format=portable"`
}

// Telemetry declares what a guest reports about itself. It grants nothing.
type Telemetry struct {
	Channel           string             `json:"channel" doc:"required,enum=vsock-cbor"`
	Events            []string           `json:"events" doc:"required,min=1,format=nonblank"`
	RateLimits        *RateLimits        `json:"rateLimits" doc:"omit"`
	HostVsGuestFields *HostVsGuestFields `json:"hostVsGuestFields" doc:"omit"`
	AgentVersion      string             `json:"agentVersion" doc:"required,format=semver"`
}

// RateLimits bound what a guest reports.
type RateLimits struct {
	EventsPerSecond *int64 `json:"eventsPerSecond" doc:"omit,max=4294967295"`
	BytesPerSecond  *int64 `json:"bytesPerSecond" doc:"omit,max=4294967295"`
}

// HostVsGuestFields says which side states which fact.
type HostVsGuestFields struct {
	HostFields  []string `json:"hostFields" doc:"nonull,omit"`
	GuestFields []string `json:"guestFields" doc:"nonull,omit"`
}
