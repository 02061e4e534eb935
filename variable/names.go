package variable

// Where things are kept, and who asks.
const (
	State         Path = "CELLOS_STATE"
	XDGStateHome  Path = "XDG_STATE_HOME"
	XDGConfigHome Path = "XDG_CONFIG_HOME"
	Home          Path = "HOME"
	SSHAuthSock   Path = "SSH_AUTH_SOCK"
	TmpDir        Path = "TMPDIR"
	XDGCacheHome  Path = "XDG_CACHE_HOME"
	Images        Path = "CELLOS_IMAGES"
	SearchPath    Text = "PATH"
	Term          Text = "TERM"
	CompatAllow   List = "CELLOS_COMPAT_ALLOW"
)

// Admission.
const (
	DeploymentProfile      Word    = "CELLOS_DEPLOYMENT_PROFILE"
	ForceMissing           List    = "CELLOS_TEST_FORCE_MISSING_ISOLATION_PRIMITIVES"
	StrictConfig           Switch  = "CELLOS_STRICT_CONFIG"
	RunID                  Text    = "CELLOS_RUN_ID"
	RunTimeoutMs           Number  = "CELLOS_RUN_TIMEOUT_MS"
	Argv0Prefixes          List    = "CELLOS_RUN_ARGV0_ALLOW_PREFIXES"
	K8sNamespace           Line    = "CELLOS_K8S_NAMESPACE"
	TenantID               Line    = "CELLOS_TENANT_ID"
	CallerIdentity         Line    = "CELLOS_CALLER_IDENTITY"
	PolicyPackPath         Path    = "CELLOS_POLICY_PACK_PATH"
	PolicyAllowDowngrade   Switch  = "CELLOS_POLICY_ALLOW_DOWNGRADE"
	AuthzPolicyPath        Path    = "CELLOS_AUTHZ_POLICY_PATH"
	AuthorityKeysPath      Path    = "CELLOS_AUTHORITY_KEYS_PATH"
	RequireDerivation      Present = "CELLOS_REQUIRE_AUTHORITY_DERIVATION"
	RequireScopedTokens    Unless  = "CELLOS_REQUIRE_SCOPED_DERIVATION_TOKENS"
	RequireTelemetry       Present = "CELLOS_REQUIRE_TELEMETRY_DECLARED"
	TrustVerifyKeysPath    Path    = "CELLOS_TRUST_VERIFY_KEYS_PATH"
	TrustKeysetPath        Path    = "CELLOS_TRUST_KEYSET_PATH"
	TrustKeysetChainPath   Path    = "CELLOS_TRUST_KEYSET_CHAIN_PATH"
	RequireTrustVerifyKeys Unless  = "CELLOS_REQUIRE_TRUST_VERIFY_KEYS"
	TrustKeysetID          Text    = "CELLOS_TRUST_KEYSET_ID"
	TrustResolverKid       Text    = "CELLOS_TRUST_RESOLVER_KID"
	TrustL7Kid             Text    = "CELLOS_TRUST_L7_KID"
	TrustPlaneEvents       Unless  = "CELLOS_TRUST_PLANE_EVENTS"
	CellBackend            Word    = "CELLOS_CELL_BACKEND"
	RequireIsolation       Present = "CELLOS_REQUIRE_ISOLATION"
)

// Isolation and limits of the host's own processes.
const (
	SubprocessUnshare List = "CELLOS_SUBPROCESS_UNSHARE"
	SubprocessSeccomp Text = "CELLOS_SUBPROCESS_SECCOMP"
	SeccompBPFPath    Path = "CELLOS_SECCOMP_BPF_PATH"
	CgroupParent      Line = "CELLOS_CGROUP_PARENT"
	CgroupMemoryMax   Line = "CELLOS_CGROUP_MEMORY_MAX"
	CgroupCPUMax      Line = "CELLOS_CGROUP_CPU_MAX"
)

// Secrets.
const (
	Broker                   Word   = "CELLOS_BROKER"
	SecretPrefix             Prefix = "CELLOS_SECRET_"
	SecretFilePrefix         Prefix = "CELLOS_SECRET_FILE_"
	SecretDelivery           Text   = "CELLOS_SECRET_DELIVERY"
	RuntimeSecretSocket      Path   = "CELLOS_RUNTIME_SECRET_SOCKET"
	RuntimeSecretToken       Text   = "CELLOS_RUNTIME_SECRET_TOKEN"
	OIDCRequestToken         Text   = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	OIDCRequestURL           Text   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	BrokerOIDCConnectTimeout Millis = "CELLOS_BROKER_OIDC_CONNECT_TIMEOUT_MS"
	BrokerOIDCTimeout        Millis = "CELLOS_BROKER_OIDC_TIMEOUT_MS"
	VaultAddr                Line   = "CELLOS_VAULT_ADDR"
	VaultNamespace           Line   = "CELLOS_VAULT_NAMESPACE"
	VaultRoleID              Text   = "CELLOS_VAULT_ROLE_ID"
	VaultSecretID            Text   = "CELLOS_VAULT_SECRET_ID"
	VaultKVMount             Line   = "CELLOS_VAULT_KV_MOUNT"
	VaultKVPathPrefix        Line   = "CELLOS_VAULT_KV_PATH_PREFIX"
	VaultConnectTimeout      Millis = "CELLOS_VAULT_CONNECT_TIMEOUT_MS"
	VaultTimeout             Millis = "CELLOS_VAULT_TIMEOUT_MS"
	CABundle                 Path   = "CELLOS_CA_BUNDLE"
)

// Exports.
const (
	ExportDir                Path    = "CELLOS_EXPORT_DIR"
	ExportHTTPBaseURL        Line    = "CELLOS_EXPORT_HTTP_BASE_URL"
	ExportHTTPBearerToken    Line    = "CELLOS_EXPORT_HTTP_BEARER_TOKEN"
	ExportHTTPMaxAttempts    Number  = "CELLOS_EXPORT_HTTP_MAX_ATTEMPTS"
	ExportHTTPRetryBackoff   Number  = "CELLOS_EXPORT_HTTP_RETRY_BACKOFF_MS"
	ExportHTTPConnectTimeout Millis  = "CELLOS_EXPORT_HTTP_CONNECT_TIMEOUT_MS"
	ExportHTTPTimeout        Millis  = "CELLOS_EXPORT_HTTP_TIMEOUT_MS"
	ExportS3PresignedURL     Line    = "CELLOS_EXPORT_S3_PRESIGNED_URL"
	ExportS3Region           Line    = "CELLOS_EXPORT_S3_REGION"
	ExportS3MaxAttempts      Number  = "CELLOS_EXPORT_S3_MAX_ATTEMPTS"
	ExportS3RetryBackoff     Number  = "CELLOS_EXPORT_S3_RETRY_BACKOFF_MS"
	ExportS3ConnectTimeout   Millis  = "CELLOS_EXPORT_S3_CONNECT_TIMEOUT_MS"
	ExportS3Timeout          Millis  = "CELLOS_EXPORT_S3_TIMEOUT_MS"
	AWSAccessKeyID           Text    = "AWS_ACCESS_KEY_ID"
	AWSProfile               Text    = "AWS_PROFILE"
	AWSCredentialsFile       Text    = "AWS_SHARED_CREDENTIALS_FILE"
	AWSWebIdentityFile       Text    = "AWS_WEB_IDENTITY_TOKEN_FILE"
	AWSContainerRelative     Text    = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
	AWSContainerFull         Text    = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
	AWSEndpointS3            Text    = "AWS_ENDPOINT_URL_S3"
	AWSEndpoint              Text    = "AWS_ENDPOINT_URL"
	AWSRegion                Text    = "AWS_REGION"
	AWSDefaultRegion         Text    = "AWS_DEFAULT_REGION"
	RequireHTTPExport        Present = "CELL_OS_REQUIRE_HTTP_EXPORT"
	RequireS3Export          Present = "CELL_OS_REQUIRE_S3_EXPORT"
)

// Events and sinks.
const (
	JSONLEvents           Path    = "CELL_OS_JSONL_EVENTS"
	UseNoopSink           Present = "CELL_OS_USE_NOOP_SINK"
	RequireJetStream      Present = "CELL_OS_REQUIRE_JETSTREAM"
	NATSURL               Line    = "NATS_URL"
	NATSCAFile            Line    = "NATS_CA_FILE"
	EventsSubject         Text    = "CELL_OS_EVENTS_SUBJECT"
	EventsSubjectTemplate Line    = "CELLOS_EVENTS_SUBJECT_TEMPLATE"
	DLQDir                Line    = "CELLOS_DLQ_DIR"
	RedactEventFields     List    = "CELLOS_REDACT_EVENT_FIELDS"
	EventSigning          Word    = "CELLOS_EVENT_SIGNING"
	EventSigningKid       Line    = "CELLOS_EVENT_SIGNING_KID"
	EventSigningKey       Text    = "CELLOS_EVENT_SIGNING_KEY_BASE64"
	Sinks                 List    = "CELLOS_SINKS"
	OnEvidenceLoss        Word    = "CELLOS_ON_EVIDENCE_LOSS"
	ScrubOutput           Switch  = "CELLOS_SCRUB_OUTPUT"
	Durable               Switch  = "CELLOS_DURABLE"
)

// Network and names.
const (
	ResolveEgressDNS        Switch = "CELLOS_RESOLVE_EGRESS_DNS"
	DNSAuthorityRefresh     Switch = "CELLOS_DNS_AUTHORITY_REFRESH"
	DNSAuthorityContinuous  Switch = "CELLOS_DNS_AUTHORITY_CONTINUOUS"
	DNSAuthorityTick        Number = "CELLOS_DNS_AUTHORITY_TICK_INTERVAL_SECS"
	DNSProxy                Switch = "CELLOS_DNS_PROXY"
	DNSProxyUpstream        Line   = "CELLOS_DNS_PROXY_UPSTREAM_OVERRIDE"
	DNSUpstreamProtocol     Line   = "CELLOS_DNS_UPSTREAM_PROTOCOL"
	DNSUpstreamTransport    Line   = "CELLOS_DNS_UPSTREAM_TRANSPORT"
	DNSUpstreamDoHURL       Line   = "CELLOS_DNS_UPSTREAM_DOH_URL"
	DNSUpstreamDoQServer    Line   = "CELLOS_DNS_UPSTREAM_DOQ_SERVER"
	DNSUpstreamDoQPort      Number = "CELLOS_DNS_UPSTREAM_DOQ_PORT"
	DNSUpstreamDoTServer    Line   = "CELLOS_DNS_UPSTREAM_DOT_SERVER"
	DNSUpstreamDoTPort      Number = "CELLOS_DNS_UPSTREAM_DOT_PORT"
	DNSUpstreamDoTSNI       Line   = "CELLOS_DNS_UPSTREAM_DOT_SNI"
	DNSSECTrustAnchors      Path   = "CELLOS_DNSSEC_TRUST_ANCHORS_PATH"
	SNIProxy                Switch = "CELLOS_SNI_PROXY"
	SNIProxyBind            Line   = "CELLOS_SNI_PROXY_BIND"
	SNIProxyUpstream        Line   = "CELLOS_SNI_PROXY_UPSTREAM_OVERRIDE"
	L7GateObservability     Switch = "CELLOS_L7_GATE_OBSERVABILITY"
	PerFlowEvents           One    = "CELLOS_PER_FLOW_ENFORCEMENT_EVENTS"
	PerFlowRealtime         One    = "CELLOS_PER_FLOW_REALTIME"
	PerFlowBackend          Text   = "CELLOS_PER_FLOW_BACKEND"
	FirecrackerPerFlow      Text   = "CELLOS_FIRECRACKER_PER_FLOW_BACKEND"
	FirecrackerPerFlowEBPF  One    = "CELLOS_FIRECRACKER_PER_FLOW_EBPF"
	FirecrackerPerFlowNFLOG Number = "CELLOS_FIRECRACKER_PER_FLOW_NFLOG_GROUP"
	EBPFObjectPath          Path   = "CELLOS_EBPF_OBJECT_PATH"
)

// Virtual machines and gVisor.
const (
	MicroVMVMM                       Word   = "CELLOS_MICROVM_VMM"
	MicroVMPool                      Word   = "CELLOS_MICROVM_POOL"
	FirecrackerBinary                Path   = "CELLOS_FIRECRACKER_BINARY"
	FirecrackerKernel                Path   = "CELLOS_FIRECRACKER_KERNEL_IMAGE"
	FirecrackerRootfs                Path   = "CELLOS_FIRECRACKER_ROOTFS_IMAGE"
	FirecrackerManifest              Path   = "CELLOS_FIRECRACKER_MANIFEST"
	ManifestKeys                     Path   = "CELLOS_MANIFEST_KEYS"
	FirecrackerJailer                Path   = "CELLOS_FIRECRACKER_JAILER_BINARY"
	FirecrackerChrootBase            Path   = "CELLOS_FIRECRACKER_CHROOT_BASE"
	FirecrackerScratchDir            Path   = "CELLOS_FIRECRACKER_SCRATCH_DIR"
	FirecrackerSocketDir             Path   = "CELLOS_FIRECRACKER_SOCKET_DIR"
	FirecrackerJailerUID             Number = "CELLOS_FIRECRACKER_JAILER_UID"
	FirecrackerJailerGID             Number = "CELLOS_FIRECRACKER_JAILER_GID"
	FirecrackerRequireJailer         Unless = "CELLOS_FIRECRACKER_REQUIRE_JAILER"
	FirecrackerEnableNetwork         Unless = "CELLOS_FIRECRACKER_ENABLE_NETWORK"
	FirecrackerNoVsockTimeout        Number = "CELLOS_FIRECRACKER_NO_VSOCK_TIMEOUT_SECS"
	FirecrackerPoolSize              Number = "CELLOS_FIRECRACKER_POOL_SIZE"
	FirecrackerAllowNoJailer         One    = "CELLOS_FIRECRACKER_ALLOW_NO_JAILER"
	FirecrackerAllowNoVsock          One    = "CELLOS_FIRECRACKER_ALLOW_NO_VSOCK"
	FirecrackerNoSeccomp             One    = "CELLOS_FIRECRACKER_NO_SECCOMP"
	FirecrackerAllowNoManifest       One    = "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST"
	FirecrackerAllowNoManifestReally One    = "CELLOS_FIRECRACKER_ALLOW_NO_MANIFEST_REALLY"
	Runsc                            Path   = "CELLOS_RUNSC"
	GVisorRunsc                      Text   = "CELLOS_GVISOR_RUNSC_BIN"
	GVisorBundleRoot                 Path   = "CELLOS_GVISOR_BUNDLE_ROOT"
)

// Known, and not used.
const (
	HostTelemetrySignAlg   Text = "CELLOS_HOST_TELEMETRY_SIGN_ALG"
	HostTelemetrySignKid   Text = "CELLOS_HOST_TELEMETRY_SIGN_KID"
	HostTelemetryHMACKey   Text = "CELLOS_HOST_TELEMETRY_SIGN_HMAC_KEY"
	HostTelemetryEd25519SK Text = "CELLOS_HOST_TELEMETRY_SIGN_ED25519_SK"
	RustLog                Text = "RUST_LOG"
	RustBacktrace          Text = "RUST_BACKTRACE"
	RustLibBacktrace       Text = "RUST_LIB_BACKTRACE"
	TokioWorkerThreads     Text = "TOKIO_WORKER_THREADS"
	NoColor                Text = "NO_COLOR"
)

// AWSCredentials are the variables of which each says that credentials of AWS are to be had, and where.
func AWSCredentials() []Text {
	return []Text{AWSAccessKeyID, AWSProfile, AWSCredentialsFile, AWSWebIdentityFile, AWSContainerRelative, AWSContainerFull}
}
