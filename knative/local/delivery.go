package local

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Bounds of a delivery.
const (
	maxErrorData = 1024 // bytes of an answer that go with the dead letter, as in Knative
	maxPause     = time.Hour
	maxBury      = 5 * time.Second // between two attempts at the dead letter sink
)

// failed says whether an answer's status means that the event was not taken.
// No answer is 0.
func failed(status int) bool { return status < 200 || status > 299 }

// retryable says whether an event that was not taken is sent again, by Knative's
// table (knative.dev/eventing, kncloudevents.SelectiveRetry): no answer, 5xx,
// and four of 4xx. Whatever else is not 2xx goes to the dead letter at once.
func retryable(status int) bool {
	switch status {
	case 0, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// pause is the time before retry n, from 1 on: n times the delay, or 2^n times.
func (d delivery) pause(n int) time.Duration {
	delay := min(d.delay, maxPause)
	if !d.exponential {
		return min(delay*time.Duration(n), maxPause)
	}
	return min(delay<<min(n, 20), maxPause) // an hour ·2^20 is the most that a Duration holds
}

// answer is what a function said to an event.
type answer struct {
	status int // 0: nothing
	header http.Header
	body   []byte // the first maxErrorData bytes
}

// postman delivers the events of one source.
type postman struct {
	source   *source
	to       http.RoundTripper
	deadSink sink
	ledger   *ledger
	log      *slog.Logger
}

// sink takes a record, and returns when Kafka has it.
type sink interface {
	put(ctx context.Context, rec *kgo.Record) error
}

// deliver sends a record's event until the function has taken it or the dead
// letter sink has. It returns false if it had to stop before that: when waiting
// ends, it begins no further attempt; when sending ends, it breaks off.
func (p *postman) deliver(waiting, sending context.Context, rec *kgo.Record) bool {
	e := p.source.eventOf(rec)
	for n := 1; ; n++ {
		a, err := p.post(sending, e)
		if !failed(a.status) {
			p.ledger.delivered(p.source.sink)
			return true
		}
		if sending.Err() != nil {
			return false
		}
		if err == nil {
			err = fmt.Errorf("status %d: %s", a.status, a.body)
		}
		if !retryable(a.status) || n > p.source.delivery.retries {
			return p.bury(waiting, sending, rec, e, a, err)
		}
		p.ledger.note(Event{Kind: Retried, Function: p.source.sink, Err: err})
		if !sleep(waiting, p.source.delivery.pause(n)) {
			return false
		}
	}
}

// post sends the event once.
func (p *postman) post(ctx context.Context, e event.Event) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, p.source.delivery.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.destination(), nil)
	if err != nil {
		return answer{}, err
	}
	if err := cehttp.WriteRequest(ctx, binding.ToMessage(&e), req); err != nil {
		return answer{}, err
	}
	req.Header.Set("Prefer", "reply")
	res, err := p.to.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorData))
	if err != nil && failed(res.StatusCode) {
		return answer{}, err
	}
	// The rest is read so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return answer{res.StatusCode, res.Header, body}, nil
}

func (p *postman) destination() string {
	return fmt.Sprintf("http://%s.%s.svc.cluster.local", p.source.sink, p.source.namespace)
}

// bury gives the event to the dead letter sink, with the reasons as extensions.
// Other than Knative, which drops an event that its dead letter sink does not
// take, it goes on until that does.
func (p *postman) bury(waiting, sending context.Context, rec *kgo.Record, e event.Event, a answer, cause error) bool {
	for name, value := range p.reasons(a) {
		e.SetExtension(name, value)
	}
	for n := 0; ; n++ {
		err := p.deadSink.put(sending, recordOf("", rec.Key, e))
		if errors.Is(err, kerr.MessageTooLarge) && len(e.Data()) > 0 {
			// It came compressed, and no repetition will make it smaller. Where it
			// still lies, its extensions tell.
			p.log.Error("dead letter too large, its data is left out", "topic", rec.Topic,
				"partition", rec.Partition, "offset", rec.Offset, "event", e.ID(), "bytes", len(e.Data()))
			e.DataEncoded = nil
			err = p.deadSink.put(sending, recordOf("", rec.Key, e))
		}
		if err == nil {
			p.log.Warn("event dead-lettered", "function", p.source.sink, "topic", rec.Topic,
				"partition", rec.Partition, "offset", rec.Offset, "event", e.ID(), "cause", cause)
			p.ledger.note(Event{Kind: DeadLetter, Function: p.source.sink, Err: cause})
			return true
		}
		p.ledger.note(Event{Kind: Unconfirmed, Function: p.source.sink, Err: err})
		if !sleep(waiting, min(minBackoff<<min(n, 10), maxBury)) {
			return false
		}
	}
}

// reasons are the extensions that Knative's data plane puts on a dead letter:
// where it was not taken, and what was answered there. The answer's Kne- headers
// become extensions of the name behind it.
func (p *postman) reasons(a answer) map[string]string {
	out := map[string]string{"knativeerrordest": p.destination()}
	if a.status == 0 {
		return out
	}
	for key, values := range a.header {
		if name, ok := strings.CutPrefix(strings.ToLower(key), "kne-"); ok && extensionName(name) && len(values) > 0 {
			out[name] = values[0]
		}
	}
	out["knativeerrorcode"] = strconv.Itoa(a.status)
	if len(a.body) > 0 {
		out["knativeerrordata"] = base64.StdEncoding.EncodeToString(a.body)
	}
	return out
}

// extensionName holds CloudEvents' rule for names: small letters and digits.
func extensionName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// sleep waits, and says whether it did to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deadLetterProducer opens the producer of all dead letter sinks. Of a broker
// that does not answer it lets go, though the letter may then come twice.
func deadLetterProducer(brokers string) (*kgo.Client, error) {
	client, err := kgo.NewClient(
		seeds(brokers),
		kgo.ClientID("marimba-dead-letters"),
		kgo.RecordDeliveryTimeout(10*time.Second),
		kgo.AllowIdempotentProduceCancellation(),
	)
	if err != nil {
		return nil, fmt.Errorf("open dead letter producer: %w", err)
	}
	return client, nil
}

// topicSink is a KafkaSink.
type topicSink struct {
	client *kgo.Client
	topic  string
}

func (s topicSink) put(ctx context.Context, rec *kgo.Record) error {
	rec.Topic = s.topic
	if err := s.client.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("produce to %s: %w", s.topic, err)
	}
	return nil
}
