package knative

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rickb777/date/period"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/autoscaling"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"marimba/events"
)

// shortest is the least that a request and the end of a pod may take: a
// function drains for 25 s and closes within 15 more.
const shortest = 60 * time.Second

func maxScale(t *testing.T, s *servingv1.Service) int32 {
	t.Helper()
	n, err := strconv.Atoi(s.Spec.Template.Annotations[autoscaling.MaxScaleAnnotationKey])
	if err != nil {
		t.Fatalf("%s: max-scale: %v", s.Name, err)
	}
	return int32(n)
}

func container(t *testing.T, s *servingv1.Service) *corev1.Container {
	t.Helper()
	if n := len(s.Spec.Template.Spec.Containers); n != 1 {
		t.Fatalf("%s has %d containers, want 1", s.Name, n)
	}
	return &s.Spec.Template.Spec.Containers[0]
}

// Knative's admission fills in its defaults and then takes every Service.
func TestServicesAreValid(t *testing.T) {
	for _, s := range read(t).services {
		t.Run(s.Name, func(t *testing.T) {
			ctx := apis.WithinCreate(context.Background())
			s.SetDefaults(ctx)
			if err := s.Validate(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// Only what routes.go calls public has a way in from outside.
func TestVisibility(t *testing.T) {
	for _, s := range read(t).services {
		route, _ := events.RouteOf(s.Name)
		private := s.Labels["networking.knative.dev/visibility"] == "cluster-local"
		if private == route.Public {
			t.Errorf("%s: cluster-local %v, public by routes.go %v", s.Name, private, route.Public)
		}
	}
}

// ko builds the image of each Service from the folder of its name, and so never
// takes one that somebody tagged latest.
func TestImages(t *testing.T) {
	for _, s := range read(t).services {
		if image := container(t, s).Image; image != "ko://marimba/functions/"+s.Name {
			t.Errorf("%s: image %s", s.Name, image)
		}
	}
}

// gRPC passes through a port named h2c only, and HTTP/1.1 through http1.
func TestPorts(t *testing.T) {
	for _, s := range read(t).services {
		want := "http1"
		if s.Name == "ingress-grpc" {
			want = "h2c"
		}
		ports := container(t, s).Ports
		if len(ports) != 1 || ports[0].Name != want || ports[0].ContainerPort != 8080 {
			t.Errorf("%s: ports %+v, want one of 8080, named %s", s.Name, ports, want)
		}
	}
}

// A probe without periodSeconds is tried every 50 ms while the pod starts; with
// it, every second at best.
func TestProbes(t *testing.T) {
	for _, s := range read(t).services {
		for _, probe := range []*corev1.Probe{container(t, s).ReadinessProbe, container(t, s).LivenessProbe, container(t, s).StartupProbe} {
			if probe != nil && probe.PeriodSeconds != 0 {
				t.Errorf("%s: periodSeconds %d", s.Name, probe.PeriodSeconds)
			}
		}
	}
}

// A function sleeps between contests, has a bound in both directions and is
// asleep soon after the last vote.
func TestScale(t *testing.T) {
	for _, s := range read(t).services {
		annotations := s.Spec.Template.Annotations
		if least := annotations[autoscaling.MinScaleAnnotationKey]; least != "0" {
			t.Errorf("%s: min-scale %q, want 0", s.Name, least)
		}
		if most := maxScale(t, s); most < 1 {
			t.Errorf("%s: max-scale %d", s.Name, most)
		}
		window, err := time.ParseDuration(annotations[autoscaling.WindowAnnotationKey])
		if err != nil || window > 15*time.Second {
			t.Errorf("%s: window %q, want 15s at most", s.Name, annotations[autoscaling.WindowAnnotationKey])
		}
		if s.Spec.Template.Spec.ContainerConcurrency == nil {
			t.Errorf("%s: containerConcurrency is not set on purpose", s.Name)
		}
		if *s.Spec.Template.Spec.ContainerConcurrency == 0 && annotations[autoscaling.TargetAnnotationKey] == "" {
			t.Errorf("%s: neither containerConcurrency nor a target says when to scale", s.Name)
		}
	}
}

// timeoutSeconds is also a pod's time to end, and a source must not wait longer
// for a function than the function has.
func TestTimeouts(t *testing.T) {
	m := read(t)
	longest := map[string]time.Duration{}
	for _, source := range m.sources {
		p, err := period.Parse(*source.Spec.Delivery.Timeout)
		if err != nil {
			t.Fatal(err)
		}
		longest[source.Spec.Sink.Ref.Name], _ = p.Duration()
	}
	for _, s := range m.services {
		seconds := s.Spec.Template.Spec.TimeoutSeconds
		if seconds == nil || time.Duration(*seconds)*time.Second < shortest {
			t.Errorf("%s: timeoutSeconds %v, want 60 at least", s.Name, seconds)
			continue
		}
		if attempt := longest[s.Name]; attempt >= time.Duration(*seconds)*time.Second {
			t.Errorf("%s: its source waits %s, itself %d s", s.Name, attempt, *seconds)
		}
	}
}

// No function runs as root, gains rights, writes to its image or may call the
// cluster.
func TestSecurity(t *testing.T) {
	for _, s := range read(t).services {
		is := func(b *bool, want bool) bool { return b != nil && *b == want }
		c := container(t, s).SecurityContext
		if c == nil {
			t.Errorf("%s: no securityContext", s.Name)
			continue
		}
		if !is(c.AllowPrivilegeEscalation, false) || !is(c.ReadOnlyRootFilesystem, true) || !is(c.RunAsNonRoot, true) ||
			c.Capabilities == nil || len(c.Capabilities.Drop) != 1 || c.Capabilities.Drop[0] != "ALL" || len(c.Capabilities.Add) != 0 ||
			c.SeccompProfile == nil || c.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: securityContext %+v", s.Name, c)
		}
		if !is(s.Spec.Template.Spec.AutomountServiceAccountToken, false) {
			t.Errorf("%s: the pod gets a token for the cluster", s.Name)
		}
		if !is(s.Spec.Template.Spec.EnableServiceLinks, false) {
			t.Errorf("%s: the environment holds the addresses of all services", s.Name)
		}
	}
}

// Each function says what it needs, and cannot take all memory of a node. CPU
// is not limited: it would slow the start from zero.
func TestResources(t *testing.T) {
	for _, s := range read(t).services {
		r := container(t, s).Resources
		if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() || !r.Limits.Cpu().IsZero() {
			t.Errorf("%s: resources %+v", s.Name, r)
		}
		if r.Requests.Memory().Cmp(*r.Limits.Memory()) > 0 {
			t.Errorf("%s: asks for more memory than it may have", s.Name)
		}
	}
}

// What is secret is only referred to.
func TestNoSecretInClear(t *testing.T) {
	m := read(t)
	for _, c := range m.configMaps {
		for key, value := range c.Data {
			if secretKeys[key] || secretLike(key) || strings.Contains(value, "@") {
				t.Errorf("ConfigMap %s: %s looks like a secret", c.Name, key)
			}
		}
	}
	for _, s := range m.services {
		for _, e := range container(t, s).Env {
			if (secretKeys[e.Name] || secretLike(e.Name)) && (e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil) {
				t.Errorf("%s: %s is not from a Secret", s.Name, e.Name)
			}
		}
	}
}

func secretLike(name string) bool {
	for _, part := range []string{"PASSWORD", "SECRET", "TOKEN", "_KEY"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
