package httpsink_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cellos.io/cellos/evidence/httpsink"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// TestLogs: what is posted is a request of the OTLP schema, read with the schema's own types and without leniency.
func TestLogs(t *testing.T) {
	r := receive(t, nil)
	want := lines(120)
	n, err := httpsink.Logs{Client: client(t, httpsink.Config{URL: httpsink.LogsURL(r.URL)})}.Deliver(t.Context(), want)
	if n != 120 || err != nil || len(r.got) != 2 {
		t.Fatalf("%d, %v; %d requests", n, err, len(r.got))
	}
	i := 0
	for _, q := range r.got {
		var req collector.ExportLogsServiceRequest
		if err := protojson.Unmarshal(q.body, &req); err != nil || q.contentType != "application/json" {
			t.Fatalf("%s: %v", q.contentType, err)
		}
		resource := req.ResourceLogs[0]
		if a := attributes(resource.Resource.Attributes); a["service.name"] != "cellos" {
			t.Errorf("the resource is %v", a)
		}
		for _, rec := range resource.ScopeLogs[0].LogRecords {
			a := attributes(rec.Attributes)
			if rec.Body.GetStringValue()+"\n" != string(want[i]) || rec.TimeUnixNano != 1_500_000_000 || rec.EventName != "t" || rec.SeverityNumber != 9 ||
				a["cloudevents.event_type"] != "t" || a["cloudevents.event_source"] != "test" || a["cellos.run"] != "r" || len(a["cloudevents.event_id"]) != 36 {
				t.Errorf("record %d is %v", i, rec)
			}
			i++
		}
	}
	if i != 120 {
		t.Errorf("%d records", i)
	}
}

func attributes(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		m[kv.Key] = kv.Value.GetStringValue()
	}
	return m
}

// TestLogsRejected: a collector that says 200 and did not take all is a failure.
func TestLogsRejected(t *testing.T) {
	for _, number := range []string{`"3"`, `3`} {
		r := receive(t, func(_ int, w http.ResponseWriter) bool {
			io.WriteString(w, `{"partialSuccess":{"rejectedLogRecords":`+number+`,"errorMessage":"body-sentinel"}}`)
			return true
		})
		n, err := httpsink.Logs{Client: client(t, httpsink.Config{URL: r.URL})}.Deliver(t.Context(), lines(4))
		if n != 0 || err == nil || !strings.Contains(err.Error(), "rejects 3 log records") || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("%s: %d, %v", number, n, err)
		}
	}
}

func TestLogsURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://c:4318": "http://c:4318/v1/logs", "http://c:4318/": "http://c:4318/v1/logs", "https://c/otlp/v1/logs": "https://c/otlp/v1/logs", "http://u:p@c": "http://u:p@c/v1/logs",
	} {
		if got := httpsink.LogsURL(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
