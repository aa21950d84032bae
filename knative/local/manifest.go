package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rickb777/date/period"
	"go.yaml.in/yaml/v3"
)

// plan is what the manifests ask for.
type plan struct {
	services []service
	sources  []source
	sinks    map[string]string            // KafkaSink name → topic
	topics   []topic                      // in the manifests' order
	config   map[string]map[string]string // ConfigMap name → its data
}

// service is a Knative Service.
type service struct {
	name, namespace string
	function        string // last part of the image's name: the binary
	private         bool   // cluster-local
	h2c             bool
	env             []variable
	mounts          []string // paths at which a cluster mounts ConfigMaps

	minScale, maxScale int
	concurrency        int     // hard limit of requests in an instance; 0: none
	target             float64 // requests in an instance that call for another
	window             time.Duration
	retention          time.Duration // how long the last instance stays after window
	timeout            time.Duration // of a whole request, and of the end of an instance
	startTimeout       time.Duration // until the first byte of the answer; 0: as timeout
}

// variable is one of a container's environment: a value, or a reference to a
// key of a ConfigMap or Secret.
type variable struct {
	name, value string
	secret      bool
	from, key   string
}

// source is a KafkaSource.
type source struct {
	name, namespace string
	group           string
	topics          []string
	earliest        bool
	ordered         bool
	sink            string // the Service it posts to
	delivery        delivery
}

// delivery is a KafkaSource's delivery specification.
type delivery struct {
	retries     int
	delay       time.Duration
	exponential bool
	timeout     time.Duration // of one attempt
	deadLetter  string        // the KafkaSink; never empty
}

// topic is a KafkaTopic.
type topic struct {
	name       string
	partitions int32
	replicas   int16
	config     map[string]string
}

// Knative Serving's defaults for what a manifest leaves out (config-defaults
// and config-autoscaler).
const (
	defaultTarget      = 100
	defaultUtilization = 0.7
	defaultTimeout     = 300 * time.Second
	defaultWindow      = 60 * time.Second
	defaultMaxScale    = 8 // Knative has no limit; one machine has
)

// read reads all manifests of a folder. It is strict: a field that this package
// does not know is an error rather than silently not honoured.
func read(manifests fs.FS) (*plan, error) {
	files, err := fs.Glob(manifests, "*.yaml")
	if err != nil {
		return nil, err
	}
	p := &plan{sinks: map[string]string{}, config: map[string]map[string]string{}}
	for _, name := range files {
		if name == "kustomization.yaml" {
			continue
		}
		text, err := fs.ReadFile(manifests, name)
		if err != nil {
			return nil, err
		}
		if err := p.addAll(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return p, p.check()
}

// MaxScales returns how many instances each function of a folder of manifests may
// have at once.
func MaxScales(manifests fs.FS) (map[string]int, error) {
	p, err := read(manifests)
	if err != nil {
		return nil, err
	}
	scales := make(map[string]int)
	for _, s := range p.services {
		scales[s.name] = s.maxScale
	}
	return scales, nil
}

func (p *plan) addAll(text []byte) error {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := documents.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var head struct {
			Kind     string
			Metadata meta
		}
		if err := doc.Decode(&head); err != nil {
			return err
		}
		if err := p.add(head.Kind, &doc); err != nil {
			return fmt.Errorf("%s %s: %w", head.Kind, head.Metadata.Name, err)
		}
	}
}

func (p *plan) add(kind string, doc *yaml.Node) error {
	switch kind {
	case "Namespace", "ServiceAccount":
		return nil
	case "ConfigMap":
		var m configMapManifest
		if err := strict(doc, &m); err != nil {
			return err
		}
		p.config[m.Metadata.Name] = m.Data
	case "KafkaTopic":
		var m topicManifest
		if err := strict(doc, &m); err != nil {
			return err
		}
		p.topics = append(p.topics, topic{m.Metadata.Name, m.Spec.Partitions, m.Spec.Replicas, m.Spec.Config})
	case "KafkaSink":
		var m sinkManifest
		if err := strict(doc, &m); err != nil {
			return err
		}
		if m.Spec.ContentMode != "binary" {
			return fmt.Errorf("contentMode %q: only binary is written", m.Spec.ContentMode)
		}
		p.sinks[m.Metadata.Name] = m.Spec.Topic
	case "KafkaSource":
		var m sourceManifest
		if err := strict(doc, &m); err != nil {
			return err
		}
		s, err := m.source()
		if err != nil {
			return err
		}
		p.sources = append(p.sources, s)
	case "Service":
		var m serviceManifest
		if err := strict(doc, &m); err != nil {
			return err
		}
		s, err := m.service()
		if err != nil {
			return err
		}
		p.services = append(p.services, s)
	default:
		return errors.New("no such kind is run locally")
	}
	return nil
}

// check holds the references between objects.
func (p *plan) check() error {
	var errs []error
	for _, s := range p.sources {
		if p.service(s.sink) == nil {
			errs = append(errs, fmt.Errorf("KafkaSource %s: there is no Service %q", s.name, s.sink))
		}
		if p.sinks[s.delivery.deadLetter] == "" {
			errs = append(errs, fmt.Errorf("KafkaSource %s: there is no KafkaSink %q", s.name, s.delivery.deadLetter))
		}
		for _, name := range s.topics {
			if !p.hasTopic(name) {
				errs = append(errs, fmt.Errorf("KafkaSource %s: there is no KafkaTopic %q", s.name, name))
			}
		}
	}
	for name, to := range p.sinks {
		if !p.hasTopic(to) {
			errs = append(errs, fmt.Errorf("KafkaSink %s: there is no KafkaTopic %q", name, to))
		}
	}
	return errors.Join(errs...)
}

func (p *plan) service(name string) *service {
	if i := slices.IndexFunc(p.services, func(s service) bool { return s.name == name }); i >= 0 {
		return &p.services[i]
	}
	return nil
}

func (p *plan) hasTopic(name string) bool {
	return slices.ContainsFunc(p.topics, func(t topic) bool { return t.name == name })
}

// strict decodes a document into a manifest's shape, and refuses what the shape
// does not have.
func strict(doc *yaml.Node, into any) error {
	text, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}

func (m *serviceManifest) service() (service, error) {
	spec := m.Spec.Template.Spec
	if len(spec.Containers) != 1 {
		return service{}, fmt.Errorf("%d containers, want 1", len(spec.Containers))
	}
	c := spec.Containers[0]
	s := service{
		name: m.Metadata.Name, namespace: m.Metadata.Namespace,
		function:     path.Base(c.Image),
		private:      m.Metadata.Labels["networking.knative.dev/visibility"] == "cluster-local",
		h2c:          len(c.Ports) > 0 && c.Ports[0].Name == "h2c",
		maxScale:     defaultMaxScale,
		concurrency:  spec.ContainerConcurrency,
		target:       defaultTarget * defaultUtilization,
		window:       defaultWindow,
		timeout:      time.Duration(spec.TimeoutSeconds) * time.Second,
		startTimeout: time.Duration(spec.ResponseStartTimeoutSeconds) * time.Second,
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if s.concurrency > 0 {
		s.target = float64(s.concurrency) * defaultUtilization
	}
	for _, e := range c.Env {
		s.env = append(s.env, e.variable())
	}
	for _, mount := range c.VolumeMounts {
		if !slices.ContainsFunc(spec.Volumes, func(v volumeManifest) bool {
			return v.Name == mount.Name && (v.ConfigMap.Name != "" || v.Secret.Optional)
		}) {
			return service{}, fmt.Errorf("volumeMount %s: there is no volume of that name which is a ConfigMap or an optional Secret", mount.Name)
		}
		s.mounts = append(s.mounts, mount.MountPath)
	}
	return s, s.annotate(m.Spec.Template.Metadata.Annotations)
}

// annotate takes over the autoscaler's annotations.
func (s *service) annotate(annotations map[string]string) error {
	for key, value := range annotations {
		name, ok := strings.CutPrefix(key, "autoscaling.knative.dev/")
		if !ok {
			continue
		}
		var err error
		switch name {
		case "min-scale":
			s.minScale, err = strconv.Atoi(value)
		case "max-scale":
			s.maxScale, err = strconv.Atoi(value)
		case "target":
			// A target is used as far as target-utilization-percentage, 70 by default.
			var target float64
			target, err = strconv.ParseFloat(value, 64)
			if s.concurrency > 0 {
				target = min(target, float64(s.concurrency))
			}
			s.target = target * defaultUtilization
		case "window":
			s.window, err = time.ParseDuration(value)
		case "scale-to-zero-pod-retention-period":
			s.retention, err = time.ParseDuration(value)
		default:
			err = errors.New("not honoured locally")
		}
		if err != nil {
			return fmt.Errorf("annotation %s: %w", key, err)
		}
	}
	if s.maxScale < 1 || s.minScale < 0 || s.minScale > s.maxScale || s.target <= 0 || s.window <= 0 {
		return fmt.Errorf("scale from %d to %d at %g requests, window %s: not possible", s.minScale, s.maxScale, s.target, s.window)
	}
	return nil
}

func (m *sourceManifest) source() (source, error) {
	spec := m.Spec
	s := source{
		name: m.Metadata.Name, namespace: m.Metadata.Namespace,
		group: spec.ConsumerGroup, topics: spec.Topics,
		earliest: spec.InitialOffset == "earliest",
		ordered:  spec.Ordering != "unordered",
		sink:     spec.Sink.Ref.Name,
		delivery: delivery{
			retries:     spec.Delivery.Retry,
			exponential: spec.Delivery.BackoffPolicy == "exponential",
			deadLetter:  spec.Delivery.DeadLetterSink.Ref.Name,
		},
	}
	if s.group == "" || len(s.topics) == 0 {
		return source{}, errors.New("consumerGroup and topics are needed")
	}
	for _, field := range []struct {
		name, value string
		known       []string
	}{
		{"initialOffset", spec.InitialOffset, []string{"", "latest", "earliest"}},
		{"ordering", spec.Ordering, []string{"", "ordered", "unordered"}},
		{"backoffPolicy", spec.Delivery.BackoffPolicy, []string{"linear", "exponential"}},
	} {
		if !slices.Contains(field.known, field.value) {
			return source{}, fmt.Errorf("%s %q is not one of %q", field.name, field.value, field.known)
		}
	}
	if kind := spec.Sink.Ref.Kind; kind != "Service" {
		return source{}, fmt.Errorf("sink of kind %q, want Service", kind)
	}
	if kind := spec.Delivery.DeadLetterSink.Ref.Kind; kind != "KafkaSink" {
		return source{}, fmt.Errorf("deadLetterSink of kind %q, want KafkaSink", kind)
	}
	var err error
	if s.delivery.delay, err = iso8601(spec.Delivery.BackoffDelay); err != nil {
		return source{}, fmt.Errorf("backoffDelay: %w", err)
	}
	if s.delivery.timeout, err = iso8601(spec.Delivery.Timeout); err != nil {
		return source{}, fmt.Errorf("timeout: %w", err)
	}
	return s, nil
}

// iso8601 parses a duration as Knative does, with the same library.
func iso8601(text string) (time.Duration, error) {
	p, err := period.Parse(text)
	if err != nil {
		return 0, err
	}
	d, _ := p.Duration()
	if d <= 0 {
		return 0, fmt.Errorf("%q is not more than nothing", text)
	}
	return d, nil
}
