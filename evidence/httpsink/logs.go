package httpsink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"cellos.io/cellos/evidence"
	"cellos.io/cellos/evidence/delivery"
	"cellos.io/cellos/jsonwire"
)

// Logs is a delivery.Transport that posts OpenTelemetry log records: OTLP/HTTP in its JSON encoding
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The body of a record is the event as it stands in the stream, so that its
// signature can be verified wherever the record went; the attributes are those of the semantic conventions for CloudEvents.
type Logs struct{ *Client }

// LogsURL completes the URL of a collector that has no path: the documented default is /v1/logs.
func LogsURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Path != "" && u.Path != "/" {
		return text
	}
	u.Path = "/v1/logs"
	return u.String()
}

// Deliver posts lines.
func (l Logs) Deliver(ctx context.Context, lines [][]byte) (n int, err error) {
	for n < len(lines) {
		some := part(lines[n:])
		body, err := records(lines[n : n+some])
		if err != nil {
			return n, delivery.Permanent(err)
		}
		text, err := l.post(ctx, "application/json", body)
		if err != nil {
			return n, err
		}
		if err := l.partial(text); err != nil {
			return n, err
		}
		n += some
	}
	return n, nil
}

// partial reads what a collector did not take although it says 200 (ExportLogsPartialSuccess).
func (l Logs) partial(text []byte) error {
	var answer struct {
		PartialSuccess struct {
			RejectedLogRecords json.RawMessage // a 64-bit number, which JSON of protocol buffers writes as a string
		}
	}
	if len(bytes.TrimSpace(text)) == 0 || json.Unmarshal(text, &answer) != nil {
		return nil
	}
	if n, err := strconv.ParseInt(string(bytes.Trim(answer.PartialSuccess.RejectedLogRecords, `"`)), 10, 64); err == nil && n > 0 {
		return delivery.Permanent(fmt.Errorf("posting to %s: the collector rejects %d log records", l.name, n))
	}
	return nil
}

// records writes an ExportLogsServiceRequest.
func records(lines [][]byte) ([]byte, error) {
	b := []byte(`{"resourceLogs":[{"resource":{"attributes":[`)
	b = attribute(b, "service.name", "cellos")
	b = append(b, `]},"scopeLogs":[{"scope":{"name":"cellos.io/cellos/evidence"},"logRecords":[`...)
	for i, line := range lines {
		line = bytes.TrimSuffix(line, []byte("\n"))
		e, err := evidence.ParseEvent(line)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"timeUnixNano":"`...)
		b = strconv.AppendInt(b, max(0, e.Time.UnixNano()), 10)
		b = append(b, `","observedTimeUnixNano":"`...)
		b = strconv.AppendInt(b, max(0, e.Time.UnixNano()), 10)
		b = append(b, `","severityNumber":9,"severityText":"INFO","eventName":`...)
		b = jsonwire.AppendString(b, e.Type)
		b = append(b, `,"body":{"stringValue":`...)
		b = jsonwire.AppendString(b, string(line))
		b = append(b, `},"attributes":[`...)
		b = attribute(b, "cloudevents.event_id", e.ID)
		b = attribute(append(b, ','), "cloudevents.event_source", e.Source)
		b = attribute(append(b, ','), "cloudevents.event_spec_version", "1.0")
		b = attribute(append(b, ','), "cloudevents.event_type", e.Type)
		b = attribute(append(b, ','), "cellos.run", e.Run)
		b = append(b, `,{"key":"cellos.sequence","value":{"intValue":"`...)
		b = append(strconv.AppendUint(b, e.Sequence, 10), `"}}]}`...)
	}
	return append(b, "]}]}]}"...), nil
}

func attribute(b []byte, key, value string) []byte {
	b = jsonwire.AppendString(append(b, `{"key":`...), key)
	b = jsonwire.AppendString(append(b, `,"value":{"stringValue":`...), value)
	return append(b, "}}"...)
}
