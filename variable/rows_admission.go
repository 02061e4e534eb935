package variable

import "math"

func places() []Row {
	return []Row{
		row(State, "", "every command that keeps or reads records", "folder of the run records; absolute; else XDG_STATE_HOME/cellos, else ~/.local/state/cellos, else a folder of the user's own under TMPDIR"),
		row(XDGStateHome, "~/.local/state", "every command that keeps or reads records", "base of the state folder, where it is absolute"),
		row(XDGConfigHome, "~/.config", "every command that signs or verifies", "base of the key folder cellos/keys, where it is absolute"),
		row(SSHAuthSock, "", "run, runs --recover, attest with --signer agent", "socket of the ssh agent that signs"),
		row(Home, "", "every command", "home directory, for the two before"),
		row(TmpDir, "/tmp", "every command", "where records go without a home directory, and bundles of gVisor"),
		row(XDGCacheHome, "~/.cache", "backend microvm, image", "base of the folder of images, where it is absolute"),
		row(Images, "", "backend microvm, image", "folder of images; absolute; else XDG_CACHE_HOME/cellos/images, for root /var/cache/cellos/images"),
		row(SearchPath, "", "run, explain", "where hints and programs of the host are looked for; never the command's, which gets its own"),
		row(Term, "", "run --tty", "passed on to a command with a terminal"),
		row(CompatAllow, "", "supervise", "what to let pass as cellos-supervisor 0.5.1 did, each recorded in the evidence: dlq-only, unsigned, keyset-unverified, host-network, dnssec-unchecked, derivation-subset, authz-rate, authz-named-pack, pack-scope-skip, pack-absent-limits, no-manifest"),
	}
}

func admission() []Row {
	return []Row{
		row(DeploymentProfile, "hardened", "supervise", "hardened: every layer, or refused; written out it also demands CELLOS_AUTHORITY_KEYS_PATH and sets five of the variables here; portable: the same, but a kernel without Landlock is taken, and the event plan names what is missing", anyCase("hardened portable")),
		row(ForceMissing, "", "supervise", "isolation primitives to take as missing, for tests: unshare, seccomp, cgroup-v2, all; it can only add"),
		row(StrictConfig, "off", "supervise", "what it made errors of is one always; off brings nothing back"),
		row(RunID, "run-local-001", "supervise", "runId of the events, as it is; the unique identity of a run is the attribute cellosrun"),
		row(RunTimeoutMs, "", "supervise", "time limit of the command in milliseconds; the smallest of this, run.timeoutMs and the lifetime counts", between(1, math.MaxInt64/1000000)),
		row(Argv0Prefixes, "", "supervise", "folders or files that argv[0], absolute and with links resolved, must be in"),
		row(K8sNamespace, "", "supervise", "a document's placement.kubernetesNamespace must be this one"),
		row(TenantID, "", "supervise", "names the event subject cellos.events.TENANT.SPEC.RUN; a document's correlation.tenantId must be this one"),
		row(CallerIdentity, "default", "supervise", "who calls, for the secretRefAllowlist of a policy pack"),
		row(PolicyPackPath, "", "supervise", "file of the policy pack that documents must keep"),
		row(PolicyAllowDowngrade, "off", "supervise", "take a policy pack below version 1.0.0"),
		row(AuthzPolicyPath, "", "supervise", "file of the authorization policy: which tenants, pools and packs may run"),
		row(AuthorityKeysPath, "", "supervise", "file of the keys that sign derivation tokens: {role: base64 of 32 bytes}; demanded by the profile hardened"),
		row(RequireDerivation, "", "supervise", "a document that is granted anything needs a derivation token"),
		row(RequireScopedTokens, "on", "supervise", "a derivation token must name its parent run"),
		row(RequireTelemetry, "", "supervise", "a document needs spec.telemetry"),
		row(TrustVerifyKeysPath, "", "supervise", "file of the keys that sign trust keysets: {kid: base64url of 32 bytes}"),
		row(TrustKeysetPath, "", "supervise", "file of a trust keyset, verified before a run"),
		row(TrustKeysetChainPath, "", "supervise", "files of a chain of keysets, oldest first, separated by commas or line feeds; goes before the one before"),
		row(RequireTrustVerifyKeys, "on", "supervise", "a keyset that does not verify refuses the run; off leaves an event only"),
		row(TrustKeysetID, "cellos:builtin-v0", "supervise", "keysetId of the events about names"),
		row(TrustResolverKid, "cellos-local-resolve-v0", "supervise", "issuerKid of the events about resolution"),
		row(TrustL7Kid, "cellos-local-l7-v0", "supervise", "issuerKid of the events about decisions on names"),
		row(TrustPlaneEvents, "on", "supervise", "write dns_target_set and a decision for every declared rule"),
		row(CellBackend, "", "run, explain, supervise", "which backend where --backend names none; without it, and for stub, the host's processes", words("firecracker gvisor stub")),
		row(RequireIsolation, "", "supervise", "isolation is always required", nothing),
	}
}

func isolation() []Row {
	return []Row{
		row(SubprocessUnshare, "", "supervise", "namespaces: 1 or default, or words pid, ipc, net, uts, mnt; a cell has all of them always, so this only brings the events of a private network, and with mnt and a workingDirectory an empty working directory"),
		row(SubprocessSeccomp, "off", "run, explain, supervise", "a filter of system calls on top of the document's profile, which it can only narrow: 1, default, baseline; hardened; strict; bpf, path, file: the file of CELLOS_SECCOMP_BPF_PATH; 0, off, none: none, or that file if it is named"),
		row(SeccompBPFPath, "", "run, explain, supervise", "file of a compiled filter, on top of the document's profile"),
		row(CgroupParent, "", "run, supervise", "cgroup2 folder in which the cell's own is made"),
		row(CgroupMemoryMax, "", "supervise", "memory.max of the cell's cgroup: max, or bytes, with K, M or G; the smaller of it and the document's holds"),
		row(CgroupCPUMax, "", "supervise", "cpu.max of the cell's cgroup, where the document has none: max, QUOTA, max PERIOD or QUOTA PERIOD"),
	}
}
