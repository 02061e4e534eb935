package wire

import (
	"encoding/json"
	"fmt"

	"cellos.io/cellos/evidence"
)

// Of makes an event's message.
func Of(source string, p evidence.Payload) (Message, error) {
	kind := ""
	switch p.(type) {
	case evidence.DNSQuery:
		kind = "dnsQuery"
	case evidence.QueryPermitted:
		kind = "queryPermitted"
	case evidence.QueryRefused:
		kind = "queryRefused"
	case evidence.Drift:
		kind = "drift"
	case evidence.Rebind:
		kind = "rebind"
	case evidence.FlowDecision:
		kind = "flow"
	case evidence.L7EgressDecision:
		kind = "name"
	case evidence.Gap:
		kind = "gap"
	case evidence.NetworkUse:
		kind = "use"
	default:
		return Message{}, fmt.Errorf("an event of type %T is none of the gate's", p)
	}
	data, err := json.Marshal(p)
	return Message{Kind: Event, Source: source, Payload: kind, Data: data}, err
}

// Event reads an event's message. Only the events of a gate can be said: a gate that was taken over cannot write others.
func (m Message) Event() (evidence.Payload, error) {
	switch m.Payload {
	case "dnsQuery":
		return read[evidence.DNSQuery](m)
	case "queryPermitted":
		return read[evidence.QueryPermitted](m)
	case "queryRefused":
		return read[evidence.QueryRefused](m)
	case "drift":
		return read[evidence.Drift](m)
	case "rebind":
		return read[evidence.Rebind](m)
	case "flow":
		return read[evidence.FlowDecision](m)
	case "name":
		return read[evidence.L7EgressDecision](m)
	case "gap":
		return read[evidence.Gap](m)
	case "use":
		return read[evidence.NetworkUse](m)
	}
	return nil, fmt.Errorf("an event %q is none of the gate's", m.Payload)
}

func read[T evidence.Payload](m Message) (evidence.Payload, error) {
	var p T
	err := json.Unmarshal(m.Data, &p)
	return p, err
}
