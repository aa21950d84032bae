//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sources are the KafkaSources of a plan at work.
type sources struct {
	producer    *kgo.Client // of dead letters
	dispatchers []*dispatcher
}

// openSources runs the KafkaSources of a plan; to is the way to a function. The
// caller closes what is returned, after an error too.
func openSources(p *plan, brokers, member string, to func(function string) http.RoundTripper, l *ledger, log *slog.Logger) (*sources, error) {
	s := new(sources)
	var err error
	if s.producer, err = deadLetterProducer(brokers); err != nil {
		return s, err
	}
	for i := range p.sources {
		src := &p.sources[i]
		d, err := openDispatcher(brokers, member, postman{
			source: src, to: to(src.sink), ledger: l, log: log,
			deadSink: topicSink{s.producer, p.sinks[src.delivery.deadLetter]},
		})
		if err != nil {
			return s, err
		}
		s.dispatchers = append(s.dispatchers, d)
	}
	return s, nil
}

func (s *sources) close(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(s.dispatchers))
	for i, d := range s.dispatchers {
		all.Go(func() { errs[i] = d.close(ctx) })
	}
	all.Wait()
	if s.producer != nil {
		s.producer.Close()
	}
	return errors.Join(errs...)
}

// Deliver runs the KafkaSources of the manifests alone, for functions that run on
// a cluster without Knative's Kafka components: it makes the topics that are
// missing in o.Kafka, and sends their events to the functions' cluster-local
// names, by way of the gateway at that address. It returns when ctx is done and
// no event is on its way. Of the options it uses Manifests, Kafka, OnEvent and Log.
func Deliver(ctx context.Context, o Options, gateway string) (err error) {
	p, err := read(o.Manifests)
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	if err := makeTopics(ctx, o.Kafka, p.topics); err != nil {
		return err
	}
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	way := newTransport(false)
	dial := way.DialContext
	way.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, gateway) }
	defer way.CloseIdleConnections()
	s, err := openSources(p, o.Kafka, "", func(string) http.RoundTripper { return way },
		&ledger{onEvent: o.OnEvent, figures: map[string]Figures{}}, log)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if end := s.close(ctx); err == nil && end != nil {
			err = fmt.Errorf("stop: %w", end)
		}
	}()
	if err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
