package wire

import (
	"encoding/json"
	"strconv"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/jsonwire"
)

// account is what an Account has.
type account struct {
	Use     *evidence.NetworkUse
	Refused []Refused
}

// Encode is a message in JSON.
//
// What only one kind has is encoded by itself, in the member Data: package encoding/json learns a type as a whole, with every type in it,
// and the first message of a gate is one that a cell waits for. What events have is put together around their data, which is JSON
// already: a connection waits for it.
func (m Message) Encode() (b []byte, err error) {
	switch m.Kind {
	case Prepare:
		m.Data, err = json.Marshal(m.Config)
	case Ask:
		m.Data, err = json.Marshal(m.Question)
	case Vouch:
		m.Data, err = json.Marshal(m.Certificate)
	case Values:
		m.Data, err = json.Marshal(m.Secrets)
	case Denied:
		m.Data, err = json.Marshal(m.Refused)
	case Account:
		m.Data, err = json.Marshal(account{m.Use, m.Refused})
	case Event:
		if len(m.Data) == 0 {
			break
		}
		b := append(make([]byte, 0, len(m.Data)+128), `{"Kind":"event","Source":`...)
		b = jsonwire.AppendString(b, m.Source)
		b = append(b, `,"Payload":`...)
		b = jsonwire.AppendString(b, m.Payload)
		if m.Ahead != 0 {
			b = append(b, `,"Ahead":`...)
			b = strconv.AppendUint(b, m.Ahead, 10)
		}
		b = append(b, `,"Data":`...)
		return append(append(b, m.Data...), '}'), nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// decode is the inverse of Encode.
func decode(b []byte) (m Message, err error) {
	if err = json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	switch m.Kind {
	case Prepare:
		err = json.Unmarshal(m.Data, &m.Config)
	case Ask:
		err = json.Unmarshal(m.Data, &m.Question)
	case Vouch:
		err = json.Unmarshal(m.Data, &m.Certificate)
	case Values:
		err = json.Unmarshal(m.Data, &m.Secrets)
	case Denied:
		err = json.Unmarshal(m.Data, &m.Refused)
	case Account:
		var a account
		err = json.Unmarshal(m.Data, &a)
		m.Use, m.Refused = a.Use, a.Refused
	}
	return m, err
}
