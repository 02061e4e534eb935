package document

// DNSAuthority says which names the cell may ask for, whom the answers come from and what is done with them.
type DNSAuthority struct {
	Resolvers              []Resolver       `json:"resolvers" doc:"nonull,omit"`
	AllowedQueryTypes      []string         `json:"allowedQueryTypes" doc:"nonull,omit,enum=A|AAAA|CNAME|TXT|MX|SRV|NS|PTR|HTTPS|SVCB"` // empty: A, AAAA, CNAME, HTTPS
	HostnameAllowlist      []string         `json:"hostnameAllowlist" doc:"nonull,omit,format=pattern"`
	RefreshPolicy          *RefreshPolicy   `json:"refreshPolicy" doc:"omit"`
	RebindingPolicy        *RebindingPolicy `json:"rebindingPolicy" doc:"omit"`
	BlockDirectWorkloadDNS bool             `json:"blockDirectWorkloadDns" doc:"nonull,omit"`
	BlockUDPDoQ            bool             `json:"blockUdpDoq" doc:"nonull,omit"`
	BlockUDPHTTP3          bool             `json:"blockUdpHttp3" doc:"nonull,omit"`
}

// A Resolver answers DNS questions.
type Resolver struct {
	ResolverID string  `json:"resolverId" doc:"required,format=portable"` // unique
	Endpoint   string  `json:"endpoint" doc:"required"`                   // its form depends on Protocol
	Protocol   string  `json:"protocol" doc:"required,enum=do53-udp|do53-tcp|dot|doh|doq"`
	TrustKid   *string `json:"trustKid" doc:"omit,format=portable"`
	DNSSEC     *DNSSEC `json:"dnssec" doc:"omit"`
}

// DNSSEC says how answers are validated. Its zero value is not the default: Parse sets Validate where nothing is said.
type DNSSEC struct {
	Validate         bool    `json:"validate" doc:"default=true"`
	FailClosed       bool    `json:"failClosed" doc:"nonull"`
	TrustAnchorsPath *string `json:"trustAnchorsPath" doc:"omit"`
}

// A RefreshPolicy says how long answers are used.
type RefreshPolicy struct {
	MinTTLSeconds   *int64  `json:"minTtlSeconds" doc:"omit,max=4294967295"` // at most MaxStaleSeconds
	MaxStaleSeconds *int64  `json:"maxStaleSeconds" doc:"omit,max=4294967295"`
	Strategy        *string `json:"strategy" doc:"omit,enum=ttl-honor|fixed-interval|manual"`
}

// A RebindingPolicy bounds the addresses that a name may have in the course of a run. Its zero value is not the default:
// Parse sets MaxNovelIPsPerHostname to 4 where nothing is said.
type RebindingPolicy struct {
	ResponseIPAllowlist    []string `json:"responseIpAllowlist" doc:"nonull,omit,format=allowedip"` // NAME:ADDRESS or NAME:PREFIX
	MaxNovelIPsPerHostname int64    `json:"maxNovelIpsPerHostname" doc:"default=4,max=4294967295"`
	RejectOnRebind         bool     `json:"rejectOnRebind" doc:"nonull"`
}

// CDNAuthority names the networks that deliver others' content.
type CDNAuthority struct {
	Providers []CDNProvider `json:"providers" doc:"nonull,omit"`
}

// A CDNProvider is one such network.
type CDNProvider struct {
	ProviderID      string `json:"providerId" doc:"required,format=portable"` // unique
	HostnamePattern string `json:"hostnamePattern" doc:"required,format=pattern"`
	AcceptFronting  bool   `json:"acceptFronting" doc:"nonull"`
}
