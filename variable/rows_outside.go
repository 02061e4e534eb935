package variable

func secrets() []Row {
	return []Row{
		row(Broker, "", "supervise", "where secrets come from; without it a document with secrets is refused; memory makes up values", words("env file github-oidc vault-approle memory")),
		row(SecretPrefix, "", "broker env", "the value of a secret: KEY in upper case, - as _"),
		row(SecretFilePrefix, "", "broker file", "the file of a secret: KEY in upper case, - as _"),
		row(SecretDelivery, "", "given to the command", "how its secrets are delivered", nothing),
		row(RuntimeSecretSocket, "", "secret get; given to the command", "socket that serves secrets"),
		row(RuntimeSecretToken, "", "secret get; given to the command", "token of that socket"),
		row(OIDCRequestToken, "", "broker github-oidc", "bearer token for a workload identity"),
		row(OIDCRequestURL, "", "broker github-oidc", "where to ask for a workload identity"),
		row(BrokerOIDCConnectTimeout, "10000", "broker github-oidc", "time to connect"),
		row(BrokerOIDCTimeout, "30000", "broker github-oidc", "time for an answer"),
		row(VaultAddr, "", "broker vault-approle", "URL of the server"),
		row(VaultNamespace, "", "broker vault-approle", "X-Vault-Namespace"),
		row(VaultRoleID, "", "broker vault-approle", "role_id"),
		row(VaultSecretID, "", "broker vault-approle", "secret_id"),
		row(VaultKVMount, "secret", "broker vault-approle", "mount of the key-value store"),
		row(VaultKVPathPrefix, "", "broker vault-approle", "path before the key"),
		row(VaultConnectTimeout, "10000", "broker vault-approle", "time to connect"),
		row(VaultTimeout, "15000", "broker vault-approle", "time for an answer"),
		row(CABundle, "", "brokers, exports, and servers that get secrets from the gate", "further root certificates, PEM"),
		row(Text("HTTP_PROXY"), "", "brokers and exports over HTTP", "proxy; http_proxy too"),
		row(Text("HTTPS_PROXY"), "", "brokers and exports over HTTPS", "proxy; https_proxy too"),
		row(Text("ALL_PROXY"), "", "brokers and exports", "proxy where neither is set; all_proxy too"),
		row(Text("NO_PROXY"), "", "brokers and exports", "hosts that need no proxy; no_proxy too"),
		row(Path("SSL_CERT_FILE"), "the system's", "brokers, exports, NATS over TLS, and the gate's servers", "root certificates instead of the system's"),
		row(Path("SSL_CERT_DIR"), "the system's", "brokers, exports, NATS over TLS, and the gate's servers", "folders of root certificates instead of the system's"),
	}
}

func exports() []Row {
	return []Row{
		row(ExportDir, "", "export", "folder that artifacts without a target are exported to: FOLDER/CELL/NAME"),
		row(ExportHTTPBaseURL, "", "export", "URL that artifacts are put to, with {cell_id} and {artifact_name}, or exact with a query, or a base", scoped),
		row(ExportHTTPBearerToken, "", "export", "bearer token for it", scoped),
		row(ExportHTTPMaxAttempts, "1", "export", "tries altogether", scoped, between(1, 1<<31)),
		row(ExportHTTPRetryBackoff, "0", "export", "milliseconds between tries", scoped, between(0, 1<<31)),
		row(ExportHTTPConnectTimeout, "10000", "export", "time to connect"),
		row(ExportHTTPTimeout, "30000", "export", "time for one try"),
		row(ExportS3PresignedURL, "", "export", "presigned URL for a target of kind s3; else CELLOS_EXPORT_HTTP_BASE_URL", scoped),
		row(ExportS3Region, "the document's", "export", "region", scoped),
		row(ExportS3MaxAttempts, "1", "export", "tries altogether", scoped, between(1, 1<<31)),
		row(ExportS3RetryBackoff, "0", "export", "milliseconds between tries", scoped, between(0, 1<<31)),
		row(ExportS3ConnectTimeout, "10000", "export", "time to connect"),
		row(ExportS3Timeout, "30000", "export", "time for one try"),
		row(AWSAccessKeyID, "", "export to a bucket", "access key, with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"),
		row(AWSProfile, "default", "export to a bucket", "profile of the shared credentials"),
		row(AWSCredentialsFile, "~/.aws/credentials", "export to a bucket", "shared credentials"),
		row(AWSWebIdentityFile, "", "export to a bucket", "token for AWS_ROLE_ARN"),
		row(AWSContainerRelative, "", "export to a bucket", "credentials of a container"),
		row(AWSContainerFull, "", "export to a bucket", "the same, as a URL"),
		row(AWSEndpointS3, "Amazon's", "export to a bucket", "URL of another server of the protocol"),
		row(AWSEndpoint, "", "export to a bucket", "the same, where the one before is not set"),
		row(AWSRegion, "", "export to a bucket", "region, where neither CELLOS_EXPORT_S3_REGION nor the document has one"),
		row(AWSDefaultRegion, "", "export to a bucket", "the same, where the one before is not set"),
		row(RequireHTTPExport, "", "export", "a declared target without a URL is refused; it always is", nothing),
		row(RequireS3Export, "", "export", "a declared target without a URL is refused; it always is", nothing),
	}
}

func events() []Row {
	return []Row{
		row(JSONLEvents, "", "supervise", "file that every event is appended to"),
		row(UseNoopSink, "", "supervise", "no JetStream; refused with the profile hardened"),
		row(RequireJetStream, "", "supervise", "events must reach JetStream"),
		row(NATSURL, "nats://127.0.0.1:4222", "supervise", "server of JetStream; without it, and without CELL_OS_REQUIRE_JETSTREAM, there is none"),
		row(NATSCAFile, "", "supervise", "further root certificate for it"),
		row(EventsSubject, "cellos.events.v1", "supervise", "subject of the events; {tenantId} in it is the tenantId of the event's data, else single"),
		row(EventsSubjectTemplate, "", "supervise", "subject with {spec_id}, {run_id} and {tenantId}; goes before the other two ways"),
		row(DLQDir, "", "supervise", "folder of dead letters: events that a sink did not take"),
		row(RedactEventFields, "", "supervise", "members of event data that are replaced; defaults: argv, path, reason"),
		row(EventSigning, "off", "supervise", "documented signing of events, beside our own", anyCase("off ed25519 hmac hmac-sha256")),
		row(EventSigningKid, "", "supervise", "key id for it"),
		row(EventSigningKey, "", "supervise", "key for it, base64url or base64: an Ed25519 seed of 32 bytes, or an HMAC key"),
		row(Sinks, "", "run, supervise", "further sinks, each as --sink takes it"),
		row(ScrubOutput, "off", "run, supervise, explain", "take the values of secrets out of what the command prints; off does not undo spec.run.scrubOutput"),
		row(Durable, "off", "run, supervise", "every event survives a crash of the machine before the run goes on (fsync of record and files), as with --durable"),
		row(OnEvidenceLoss, "kill", "run, supervise", "what becomes of the command when a required sink takes nothing", words("kill block")),
	}
}

func others() []Row {
	const why = "known from cellos-supervisor 0.5.1; "
	return []Row{
		row(HostTelemetrySignAlg, "", "nobody", why+"no run read it there either", nothing),
		row(HostTelemetrySignKid, "", "nobody", why+"no run read it there either", nothing),
		row(HostTelemetryHMACKey, "", "nobody", why+"no run read it there either", nothing),
		row(HostTelemetryEd25519SK, "", "nobody", why+"no run read it there either", nothing),
		row(RustLog, "", "nobody", why+"this program writes no log: errors, hints and notes only", nothing),
		row(RustBacktrace, "", "nobody", why+"a program of another language", nothing),
		row(RustLibBacktrace, "", "nobody", why+"a program of another language", nothing),
		row(TokioWorkerThreads, "", "nobody", why+"GOMAXPROCS is the runtime's own here", nothing),
		row(NoColor, "", "nobody", "nothing is coloured", nothing),
	}
}
