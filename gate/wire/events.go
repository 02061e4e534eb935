package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"cellos.io/cellos/evidence"
)

// A kind is a type of event that a gate may write, and its word on the wire. A gate that was taken over cannot write others.
type kind struct {
	word string
	is   reflect.Type
	read func([]byte) (evidence.Payload, error)
}

func kindOf[T evidence.Payload](word string) kind {
	return kind{word, reflect.TypeFor[T](), func(b []byte) (evidence.Payload, error) {
		var p T
		err := json.Unmarshal(b, &p)
		return p, err
	}}
}

// kinds is made once: it is looked at for every event.
var kinds = sync.OnceValue(func() []kind {
	return []kind{
		kindOf[evidence.FlowDecision]("flow"), kindOf[evidence.L7EgressDecision]("name"), kindOf[evidence.DNSQuery]("dnsQuery"),
		kindOf[evidence.QueryPermitted]("queryPermitted"), kindOf[evidence.QueryRefused]("queryRefused"),
		kindOf[evidence.DNSResolution]("resolution"), kindOf[evidence.Drift]("drift"), kindOf[evidence.Rebind]("rebind"), kindOf[evidence.Gap]("gap"), kindOf[evidence.NetworkUse]("use"),
	}
})

// Of makes an event's message.
func Of(source string, p evidence.Payload) (Message, error) {
	for _, k := range kinds() {
		if reflect.TypeOf(p) == k.is {
			data, err := json.Marshal(p)
			return Message{Kind: Event, Source: source, Payload: k.word, Data: data}, err
		}
	}
	return Message{}, fmt.Errorf("an event of type %T is none of the gate's", p)
}

// Event reads an event's message.
func (m Message) Event() (evidence.Payload, error) {
	for _, k := range kinds() {
		if m.Payload == k.word {
			return k.read(m.Data)
		}
	}
	return nil, fmt.Errorf("an event %q is none of the gate's", m.Payload)
}
