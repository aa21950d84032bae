package local

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kgo"
)

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// A record holds an event in binary mode, in structured mode, or none, and then
// becomes one around it, with the names that Knative's data plane gives
// (InvalidCloudEventInterceptor).
func TestEventOf(t *testing.T) {
	s := &source{name: "line", namespace: "test"}
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	valid := []kgo.RecordHeader{header("ce_specversion", "1.0"), header("ce_id", "a"), header("ce_source", "/s"), header("ce_type", "t")}
	for name, c := range map[string]struct {
		headers []kgo.RecordHeader
		value   string
		foreign bool
	}{
		"binary":                        {valid, "x", false},
		"binary, data of no bytes":      {valid, "", false},
		"structured":                    {[]kgo.RecordHeader{header("Content-Type", "application/cloudevents+json; charset=UTF-8")}, `{"specversion":"1.0","id":"a","source":"/s","type":"t","count":3,"data":"x"}`, false},
		"no headers":                    {nil, "x", true},
		"no id":                         {[]kgo.RecordHeader{header("ce_specversion", "1.0"), header("ce_source", "/s"), header("ce_type", "t")}, "x", true},
		"other version":                 {[]kgo.RecordHeader{header("ce_specversion", "0.3"), header("ce_id", "a"), header("ce_source", "/s"), header("ce_type", "t")}, "x", true},
		"structured, not JSON":          {[]kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, "{", true},
		"structured, no type":           {[]kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, `{"specversion":"1.0","id":"a","source":"/s"}`, true},
		"a line end in an attribute":    {append(valid[:4:4], header("ce_subject", "a\r\nX: y")), "x", true},
		"structured, line end":          {[]kgo.RecordHeader{header("content-type", "application/cloudevents+json")}, `{"specversion":"1.0","id":"a\n","source":"/s","type":"t"}`, true},
		"a line end in the only header": {[]kgo.RecordHeader{header("Trace_ID", "1\r\n2")}, "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &kgo.Record{Topic: "votes", Partition: 3, Offset: 14, Timestamp: at, Key: []byte("k\n"), Value: []byte(c.value), Headers: c.headers}
			e := s.eventOf(rec)
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			if err := speakable(e); err != nil {
				t.Error(err)
			}
			if e.Extensions()["knativekafkapartition"] != "3" || e.Extensions()["knativekafkaoffset"] != "14" {
				t.Errorf("place %v", e.Extensions())
			}
			if !c.foreign {
				if e.ID() != "a" || e.Source() != "/s" || e.Type() != "t" {
					t.Errorf("event %s", e)
				}
				return
			}
			if e.Type() != "dev.knative.kafka.event" || e.ID() != "partition:3/offset:14" || e.Subject() != "partition:3#14" ||
				e.Source() != "/apis/v1/namespaces/test/kafkasources/line#votes" || !e.Time().Equal(at) ||
				e.Extensions()["key"] != "k" || e.Extensions()["partitionkey"] != "k" || string(e.Data()) != c.value {
				t.Errorf("event %s", e)
			}
		})
	}
}

// What came in structured mode leaves in binary mode whole, also into the dead
// letters: an extension that was a number becomes its text.
func TestStructuredToBinary(t *testing.T) {
	s := &source{name: "line", namespace: "test"}
	e := s.eventOf(&kgo.Record{
		Headers: []kgo.RecordHeader{header("content-type", "application/cloudevents+json")},
		Value:   []byte(`{"specversion":"1.0","id":"a","source":"/s","type":"t","count":3,"late":true,"datacontenttype":"application/json","data":{"x":1}}`),
	})
	rec := recordOf("dead", []byte("k"), e)
	h := headersOf(rec)
	if h["ce_count"] != "3" || h["ce_late"] != "true" || h["content-type"] != "application/json" || string(rec.Value) != `{"x":1}` {
		t.Errorf("headers %v, data %s", h, rec.Value)
	}
}

// A foreign record's headers become extensions whose names and values are
// allowed, and whose number and size leave room in a request's head.
func TestForeignHeaders(t *testing.T) {
	rec := &kgo.Record{Headers: []kgo.RecordHeader{
		header("Trace-ID_7", "a\x00b\xffc"), header("Content-Type", "Text/PLAIN"), header("long", strings.Repeat("x", 1<<20)),
	}}
	for range 1000 {
		rec.Headers = append(rec.Headers, header("many", "y"))
	}
	e := (&source{}).foreign(rec)
	got := e.Extensions()
	if got["kafkaheadertraceid7"] != "abc" || e.DataContentType() != "text/plain" || len(got["kafkaheaderlong"].(string)) != maxForeignValue {
		t.Errorf("event %s", e)
	}
	if e.Type() != "dev.knative.kafka.event" || len(got) > maxForeign {
		t.Errorf("%d extensions", len(got))
	}
}

// FuzzEventOf holds that whatever lies in a topic becomes a valid event that can
// be posted.
func FuzzEventOf(f *testing.F) {
	f.Add("ce_id", "a", "application/json", []byte("x"), []byte("k"))
	f.Add("", "\x7f", event.ApplicationCloudEventsJSON, []byte(`{"specversion":"1.0","id":"a","source":"/s","type":"t","e":1.5}`), []byte{0xff})
	f.Fuzz(func(t *testing.T, name, value, contentType string, data, key []byte) {
		s := &source{name: "line", namespace: "test"}
		for _, headers := range [][]kgo.RecordHeader{
			{header(name, value), header("content-type", contentType)},
			{header("ce_specversion", "1.0"), header("ce_id", "a"), header("ce_source", "/s"), header("ce_type", "t"), header(name, value), header("content-type", contentType)},
		} {
			e := s.eventOf(&kgo.Record{Topic: "votes", Key: key, Value: data, Headers: headers})
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			if err := speakable(e); err != nil {
				t.Fatal(err)
			}
			if len(recordOf("dead", key, e).Headers) == 0 {
				t.Fatal("no headers")
			}
		}
	})
}
