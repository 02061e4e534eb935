package variable

func network() []Row {
	return []Row{
		row(ResolveEgressDNS, "off", "supervise", "look up declared hosts before the run, and write what they are", notYet),
		row(DNSAuthorityRefresh, "off", "supervise", "ask the declared resolvers before the run", notYet),
		row(DNSAuthorityContinuous, "off", "supervise", "and go on asking; needs the one before", notYet),
		row(DNSAuthorityTick, "60", "supervise", "seconds between questions", notYet, between(5, 1<<31)),
		row(DNSProxy, "off", "supervise", "names are always decided where a rule grants something", nothing),
		row(DNSProxyUpstream, "", "supervise", "IP:PORT that questions go to"),
		row(DNSUpstreamProtocol, "the document's", "supervise", "do53-udp, do53-tcp, dot or doh"),
		row(DNSUpstreamTransport, "the document's", "supervise", "the same, where the one before is not set"),
		row(DNSUpstreamDoHURL, "the document's", "supervise", "URL of a DNS-over-HTTPS server"),
		row(DNSUpstreamDoQServer, "the document's", "supervise", "DNS-over-QUIC server", notYet),
		row(DNSUpstreamDoQPort, "853", "supervise", "its port", notYet, between(1, 65535)),
		row(DNSUpstreamDoTServer, "the document's", "supervise", "DNS-over-TLS server"),
		row(DNSUpstreamDoTPort, "853", "supervise", "its port", between(1, 65535)),
		row(DNSUpstreamDoTSNI, "", "supervise", "name that its certificate must have"),
		row(DNSSECTrustAnchors, "", "supervise", "file of DNSSEC trust anchors", notYet),
		row(SNIProxy, "off", "supervise", "TLS names are always decided where a rule grants something", nothing),
		row(SNIProxyBind, "127.0.0.1:8443", "supervise", "there is no such proxy: names are decided on the way of every connection", nothing),
		row(SNIProxyUpstream, "", "supervise", "connections go to the checked addresses of their name", nothing),
		row(L7GateObservability, "off", "supervise", "write a decision for every name of the allow-list"),
		row(PerFlowEvents, "off", "supervise", "every decision of the gate is an event", nothing),
		row(PerFlowRealtime, "off", "supervise", "tell in the event homeostasis how many rules were used"),
		row(PerFlowBackend, "nflog", "supervise", "flows are seen by the gate", nothing),
		row(FirecrackerPerFlow, "nflog", "supervise", "flows are seen by the gate", nothing),
		row(FirecrackerPerFlowEBPF, "off", "supervise", "the same"),
		row(FirecrackerPerFlowNFLOG, "100", "supervise", "no netfilter is used", nothing, between(0, 65535)),
		row(EBPFObjectPath, "", "supervise", "no eBPF program is used", nothing),
	}
}

func machines() []Row {
	return []Row{
		row(MicroVMVMM, "", "backend microvm", "which virtual machine monitor; else firecracker where it is named, and qemu otherwise", words("firecracker qemu")),
		row(FirecrackerBinary, "", "backend microvm", "Firecracker, absolute; else the one in PATH"),
		row(FirecrackerKernel, "", "backend microvm", "kernel of the guest, absolute; its modules are found by its name; else one in /boot"),
		row(FirecrackerRootfs, "", "backend microvm", "root file system image, absolute", notYet),
		row(FirecrackerManifest, "", "backend microvm", "digests of what boots, absolute"),
		row(FirecrackerJailer, "", "backend microvm", "jailer program, absolute", notYet),
		row(FirecrackerChrootBase, "/var/lib/cellos/firecracker", "backend microvm", "the monitor has a root of its own, in memory", nothing),
		row(FirecrackerScratchDir, "", "backend microvm", "what a command changes is in the memory of its machine", nothing),
		row(FirecrackerSocketDir, "/tmp", "backend microvm", "sockets are where only the monitor sees them", nothing),
		row(FirecrackerJailerUID, "10002", "backend microvm", "the monitor runs as a user that owns nothing", nothing, between(1, 1<<32-2)),
		row(FirecrackerJailerGID, "10002", "backend microvm", "and in a group that owns nothing", nothing, between(1, 1<<32-2)),
		row(FirecrackerRequireJailer, "on", "backend microvm", "a cell of our own takes the place of the jailer", nothing),
		row(FirecrackerEnableNetwork, "on", "backend microvm", "a machine has a network device when a document grants something", nothing),
		row(FirecrackerNoVsockTimeout, "5", "backend microvm", "every wait has a bound", nothing, between(0, 1<<31)),
		row(FirecrackerPoolSize, "0", "backend microvm", "machines that are kept ready", notYet, between(0, 1<<16)),
		row(FirecrackerAllowNoJailer, "off", "backend microvm", "the same", nothing),
		row(FirecrackerAllowNoVsock, "off", "backend microvm", "every wait has a bound", nothing),
		row(FirecrackerNoSeccomp, "off", "backend microvm", "loosens nothing", notYet),
		row(FirecrackerAllowNoManifest, "off", "backend microvm", "with the next one the tag no-manifest of CELLOS_COMPAT_ALLOW"),
		row(FirecrackerAllowNoManifestReally, "off", "backend microvm", "with the one before the tag no-manifest of CELLOS_COMPAT_ALLOW"),
		row(GVisorRunsc, "runsc", "backend gvisor", "program", notYet),
		row(GVisorBundleRoot, "$TMPDIR/cellos-gvisor", "backend gvisor", "folder of bundles", notYet),
	}
}
