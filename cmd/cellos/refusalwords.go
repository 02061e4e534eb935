package main

import "cellos.io/cellos/evidence"

// refusalWords say what a reason code means to whoever started the cell; "": the code's own words do. docs/network.md has all of them.
func refusalWords(reason string) string {
	switch reason {
	case evidence.DNSNotAllowed, evidence.FlowDefault, evidence.FlowNoPort, evidence.FlowNotListed:
		return "not granted"
	case evidence.FlowDirectDNS:
		return "the document lets the command ask no resolver itself"
	case evidence.FlowDoQ, evidence.FlowHTTP3:
		return "the document blocks QUIC"
	case evidence.FlowBlocked:
		return "no name may lead there"
	case evidence.FlowUnresolved:
		return "the name could not be resolved"
	case evidence.FlowRebound:
		return "the document lists other addresses for it"
	case evidence.FlowUnreached:
		return "granted, but nobody answers there"
	case evidence.FlowLimit:
		return "the cell's limit is reached"
	case evidence.FlowBudget:
		return "the rule's budget is used up"
	case "l7_sni_missing":
		return "TLS that names no server"
	case "l7_sni_allowlist_miss":
		return "TLS with another server's name, which is not granted"
	case "l7_sni_address_mismatch":
		return "a connection to one granted name that asks for another"
	case "l7_ech_refused":
		return "TLS that hides the server's name (ECH)"
	case "l7_early_data_refused":
		return "TLS with early data"
	case "l7_http_host_missing":
		return "a request that names no host"
	case "l7_http_host_allowlist_miss":
		return "a request for another host, which is not granted"
	case "l7_unknown_protocol":
		return "neither TLS nor HTTP as every server reads it"
	case "l7_peek_timeout":
		return "the client did not say in time which server it wants"
	}
	return ""
}
