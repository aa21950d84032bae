package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
)

// Bounds of what a record that is no CloudEvent brings along: an event's
// attributes travel as HTTP headers, of which a function reads 64 KiB.
const (
	maxForeign      = 32      // headers
	maxForeignValue = 1 << 10 // bytes
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
			return structured(rec.Value)
		}
		headers[i] = events.Header{Key: h.Key, Value: h.Value}
	}
	e, err := events.EventOfKafka(headers, rec.Value)
	if err != nil {
		return event.Event{}, err
	}
	return e, speakable(e)
}

// structured reads an event in structured mode. Its extensions become texts, as
// they are in headers.
func structured(text []byte) (event.Event, error) {
	var e event.Event
	if err := json.Unmarshal(text, &e); err != nil {
		return event.Event{}, err
	}
	if err := e.Validate(); err != nil {
		return event.Event{}, err
	}
	for name, value := range e.Extensions() {
		said, err := types.Format(value)
		if err != nil {
			return event.Event{}, err
		}
		e.SetExtension(name, said)
	}
	return e, speakable(e)
}

// speakable says whether an event's attributes can be HTTP headers. CloudEvents
// forbids control characters in them; its library lets them pass.
func speakable(e event.Event) error {
	said := []string{e.ID(), e.Source(), e.Type(), e.Subject(), e.DataContentType(), e.DataSchema()}
	for _, value := range e.Extensions() {
		if text, ok := value.(string); ok {
			said = append(said, text)
		}
	}
	for _, text := range said {
		if strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("a control character is in an attribute")
		}
	}
	return nil
}

// foreign wraps a record that is no CloudEvent. Its key and headers become
// extensions.
func (s *source) foreign(rec *kgo.Record) event.Event {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(fmt.Sprintf("partition:%d/offset:%d", rec.Partition, rec.Offset))
	e.SetSource(fmt.Sprintf("/apis/v1/namespaces/%s/kafkasources/%s#%s", s.namespace, s.name, rec.Topic))
	e.SetSubject(fmt.Sprintf("partition:%d#%d", rec.Partition, rec.Offset))
	e.SetType("dev.knative.kafka.event")
	e.SetTime(rec.Timestamp)
	if rec.Key != nil {
		key := printable(rec.Key)
		e.SetExtension("key", key)
		e.SetExtension("partitionkey", key)
	}
	for _, h := range rec.Headers[:min(len(rec.Headers), maxForeign)] {
		if strings.EqualFold(h.Key, "content-type") {
			if kind := strings.ToLower(printable(h.Value)); mediaType(kind) {
				e.SetDataContentType(kind)
			}
			continue
		}
		e.SetExtension("kafkaheader"+strings.Map(extensionRune, h.Key), printable(h.Value))
	}
	e.DataEncoded = rec.Value
	return e
}

func mediaType(text string) bool {
	_, _, err := mime.ParseMediaType(text)
	return err == nil
}

// printable is what of a text can be in an HTTP header.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(text[:min(len(text), maxForeignValue)]), ""))
}

// extensionRune turns a character into one of an extension's name, or leaves it
// out.
func extensionRune(r rune) rune {
	r = unicode.ToLower(r)
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
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
