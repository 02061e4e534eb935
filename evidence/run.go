package evidence

import (
	"maps"
	"slices"

	"cellos.io/cellos/jsonwire"
)

// Run is what every event of one run has in common.
type Run struct {
	// ID is the unique identity of the run (attribute cellosrun), from NewID. The other three need not be unique.
	ID string

	CellID string // data.cellId: the document's spec.id
	SpecID string // data.specId: the document's spec.id
	RunID  string // data.runId: CELLOS_RUN_ID, or "run-local-001" where that is documented

	Correlation *Correlation // the document's spec.correlation; nil leaves the member out
}

// Correlation is the document's spec.correlation. A nil pointer in the first group is written as null, in the second
// it leaves the member out.
type Correlation struct {
	Platform, ExternalRunID, ExternalJobID *string
	Labels                                 map[string]string // nil: null

	TenantID, CorrelationID *string
}

// Payload is the data of one event. The types of this package named after events are payloads; [Other] is a free one.
type Payload interface {
	// Type is the CloudEvents type of the event.
	Type() string
	// AppendData appends the JSON object to dst in canonical form (package canon): compact, members ascending.
	AppendData(dst []byte, r *Run) []byte
}

// correlation, then the other three of the members common to most payloads. They are apart because other
// members come alphabetically between them.
func (o *object) correlation(c *Correlation) {
	if c == nil {
		return
	}
	o.object("correlation", func(o *object) {
		o.strPtr("correlationId", c.CorrelationID)
		o.strNull("externalJobId", c.ExternalJobID)
		o.strNull("externalRunId", c.ExternalRunID)
		if c.Labels == nil {
			o.null("labels")
		} else {
			o.object("labels", func(o *object) { o.labels(c.Labels) })
		}
		o.strNull("platform", c.Platform)
		o.strPtr("tenantId", c.TenantID)
	})
}

func (o *object) labels(m map[string]string) {
	for i, k := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = append(jsonwire.AppendString(o.b, k), ':')
		o.b = jsonwire.AppendString(o.b, m[k])
	}
}

// Other is an event with free data, for types that have no payload of their own here.
type Other struct {
	EventType string         // the CloudEvents type
	Members   map[string]any // data; what encoding/json can write
	Bare      bool           // do not add cellId, runId and specId
}

func (p Other) Type() string { return p.EventType }

func (p Other) AppendData(dst []byte, r *Run) []byte {
	m := maps.Clone(p.Members)
	if m == nil {
		m = map[string]any{}
	}
	if !p.Bare {
		m["cellId"], m["runId"], m["specId"] = r.CellID, r.RunID, r.SpecID
	}
	out := appendFree(dst, m)
	if out[len(dst)] != '{' { // data is an object whatever happens
		out = append(append(append([]byte(nil), dst...), `{"error":`...), out[len(dst):]...)
		out = append(out, '}')
	}
	return out
}
