package local

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// eventOf returns the event that a source makes of a record: the CloudEvent
// that it holds, in binary or structured mode, or else, as Knative does, one of
// type dev.knative.kafka.event around the value. Knative's data plane puts the
// record's place on every event.
func (s *source) eventOf(rec *kgo.Record) event.Event {
	e, err := cloudEvent(rec)
	if err != nil {
		e = s.foreign(rec)
	}
	e.SetExtension("knativekafkapartition", strconv.Itoa(int(rec.Partition)))
	e.SetExtension("knativekafkaoffset", strconv.FormatInt(rec.Offset, 10))
	return e
}

func cloudEvent(rec *kgo.Record) (event.Event, error) {
	headers := make([]events.Header, len(rec.Headers))
	for i, h := range rec.Headers {
		if strings.EqualFold(h.Key, "content-type") && strings.HasPrefix(string(h.Value), event.ApplicationCloudEventsJSON) {
			var e event.Event
			err := json.Unmarshal(rec.Value, &e)
			return e, err
		}
		headers[i] = events.Header{Key: h.Key, Value: h.Value}
	}
	return events.EventOfKafka(headers, rec.Value)
}

// foreign wraps a record that is no CloudEvent.
func (s *source) foreign(rec *kgo.Record) event.Event {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(fmt.Sprintf("partition:%d/offset:%d", rec.Partition, rec.Offset))
	e.SetSource(fmt.Sprintf("/apis/v1/namespaces/%s/kafkasources/%s#%s", s.namespace, s.name, rec.Topic))
	e.SetSubject(fmt.Sprintf("partition:%d#offset:%d", rec.Partition, rec.Offset))
	e.SetType("dev.knative.kafka.event")
	e.SetTime(rec.Timestamp)
	e.DataEncoded = rec.Value
	return e
}

// recordOf is the record of an event in binary mode.
func recordOf(topic string, key []byte, e event.Event) *kgo.Record {
	ce := events.KafkaHeaders(e)
	headers := make([]kgo.RecordHeader, len(ce))
	for i, h := range ce {
		headers[i] = kgo.RecordHeader{Key: h.Key, Value: h.Value}
	}
	return &kgo.Record{Topic: topic, Key: key, Value: e.Data(), Headers: headers}
}
