package events

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// The types of our CloudEvents. The data of each is a Box.
const (
	TypeCast     = "gt.marimba.votes.cast.v1"
	TypeAccepted = "gt.marimba.votes.accepted.v1"
	TypeRefused  = "gt.marimba.votes.refused.v1"
	TypeCounted  = "gt.marimba.votes.counted.v1"
)

// ContentType of a box.
const ContentType = "application/protobuf"

// kinds ties each event type to the topic it travels in and to the suffix that
// makes its id from the box's: a redelivered box makes the same events again.
var kinds = map[string]struct {
	topic  Topic
	suffix string
}{
	TypeCast:     {VotesCast, ""},
	TypeAccepted: {VotesAccepted, "/accepted"},
	TypeRefused:  {VotesRefused, "/refused"},
	TypeCounted:  {VotesCounted, "/counted"},
}

// TopicOf returns the topic that events of a type travel in; "" for a type
// that is not ours.
func TopicOf(eventType string) Topic { return kinds[eventType].topic }

// Event wraps a box as a CloudEvent 1.0 of one of our types. Its id is the
// box's, with the stage's outcome behind it; its subject is the contest. The
// partition key is the box's id, so that boxes spread evenly over partitions
// whatever they hold.
func (b Box) Event(eventType, function string) event.Event {
	kind, ok := kinds[eventType]
	if !ok {
		panic("events: unknown event type " + eventType) // a programmer's fault
	}
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(b.ID + kind.suffix)
	e.SetSource("/marimba/" + function)
	e.SetType(eventType)
	e.SetSubject(b.Contest)
	if len(b.Votes) > 0 {
		e.SetTime(b.Votes[0].At)
	}
	e.SetExtension("partitionkey", b.ID)
	e.DataEncoded = b.Marshal()
	e.SetDataContentType(ContentType)
	return e
}

// BoxOf returns the box that an event of one of our types carries. An error
// means that the event is poison: it will not become readable.
func BoxOf(e event.Event) (Box, error) {
	kind, ok := kinds[e.Type()]
	if !ok {
		return Box{}, fmt.Errorf("%w: event type %q", ErrBox, e.Type())
	}
	b, err := UnmarshalBox(e.Data())
	if err != nil {
		return Box{}, err
	}
	if e.ID() != b.ID+kind.suffix {
		return Box{}, fmt.Errorf("%w: event id %q is not of box %q", ErrBox, e.ID(), b.ID)
	}
	return b, nil
}

// Header is a Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// KafkaHeaders returns the headers of an event's record in binary mode, as
// CloudEvents' Kafka protocol binding 1.0 (section 3.2) has them. The record's
// value is the event's data.
func KafkaHeaders(e event.Event) []Header {
	h := make([]Header, 0, 10)
	add := func(key, value string) {
		if value != "" {
			h = append(h, Header{Key: key, Value: []byte(value)})
		}
	}
	add("ce_specversion", e.SpecVersion())
	add("ce_id", e.ID())
	add("ce_source", e.Source())
	add("ce_type", e.Type())
	add("ce_subject", e.Subject())
	if t := e.Time(); !t.IsZero() {
		add("ce_time", t.UTC().Format(time.RFC3339Nano))
	}
	for name, value := range e.Extensions() {
		if s, ok := value.(string); ok {
			add("ce_"+name, s)
		}
	}
	add("content-type", e.DataContentType())
	return h
}

// EventOfKafka is KafkaHeaders' other way: the event that a record in binary
// mode holds.
func EventOfKafka(headers []Header, value []byte) (event.Event, error) {
	e := event.New(event.CloudEventsVersionV1)
	seen := false
	for _, h := range headers {
		key, v := strings.ToLower(h.Key), string(h.Value)
		switch key {
		case "content-type":
			e.SetDataContentType(v)
			continue
		case "ce_specversion":
			if v != event.CloudEventsVersionV1 {
				return event.Event{}, fmt.Errorf("specversion %q is not 1.0", v)
			}
			seen = true
		case "ce_id":
			e.SetID(v)
		case "ce_source":
			e.SetSource(v)
		case "ce_type":
			e.SetType(v)
		case "ce_subject":
			e.SetSubject(v)
		case "ce_time":
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
				e.SetTime(t)
			}
		default:
			if name, ok := strings.CutPrefix(key, "ce_"); ok {
				e.SetExtension(name, v)
			}
		}
	}
	if !seen {
		return event.Event{}, errors.New("record has no ce_specversion header")
	}
	e.DataEncoded = value
	if err := e.Validate(); err != nil {
		return event.Event{}, fmt.Errorf("validate event: %w", err)
	}
	return e, nil
}
