package knative

import (
	"context"
	"slices"
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
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			t.Run(s.Name, func(t *testing.T) {
				ctx := apis.WithinCreate(context.Background())
				s.SetDefaults(ctx)
				if err := s.Validate(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// Only what routes.go calls public has a way in from outside.
func TestVisibility(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			route, _ := events.RouteOf(s.Name)
			private := s.Labels["networking.knative.dev/visibility"] == "cluster-local"
			if private == route.Public {
				t.Errorf("%s: cluster-local %v, public by routes.go %v", s.Name, private, route.Public)
			}
		}
	})
}

// ko builds the image of each Service from the folder of its name, and so never
// takes one that somebody tagged latest.
func TestImages(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			if image := container(t, s).Image; image != "ko://marimba/functions/"+s.Name {
				t.Errorf("%s: image %s", s.Name, image)
			}
		}
	})
}

// gRPC passes through a port named h2c only, and HTTP/1.1 through http1.
func TestPorts(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			want := "http1"
			if s.Name == "ingress-grpc" {
				want = "h2c"
			}
			ports := container(t, s).Ports
			if len(ports) != 1 || ports[0].Name != want || ports[0].ContainerPort != 8080 {
				t.Errorf("%s: ports %+v, want one of 8080, named %s", s.Name, ports, want)
			}
		}
	})
}

// timeoutSeconds is also a pod's time to end, and a source must not wait longer
// for a function than the function has.
func TestTimeouts(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
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
	})
}

// A probe without periodSeconds is tried every 50 ms while the pod starts; with
// it, every second at best. It asks no more than that the process listens.
func TestProbes(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			c := container(t, s)
			if c.ReadinessProbe == nil || c.ReadinessProbe.PeriodSeconds != 0 || c.ReadinessProbe.TCPSocket == nil {
				t.Errorf("%s: readinessProbe %+v", s.Name, c.ReadinessProbe)
			}
			if c.LivenessProbe != nil || c.StartupProbe != nil {
				t.Errorf("%s has other probes; see the comment there", s.Name)
			}
		}
	})
}

// unhurried are the functions that no vote waits for.
var unhurried = []string{"notary", "shelve"}

// A function sleeps between contests, has a bound in both directions and is
// asleep soon after the last vote. Before a show all on a vote's way are awake.
func TestScale(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			annotations := s.Spec.Template.Annotations
			want := "0"
			if m.folder == "overlays/show" && !slices.Contains(unhurried, s.Name) {
				want = "2"
			}
			if least := annotations[autoscaling.MinScaleAnnotationKey]; least != want {
				t.Errorf("%s: min-scale %q, want %s", s.Name, least, want)
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
				continue
			}
			if *s.Spec.Template.Spec.ContainerConcurrency == 0 && annotations[autoscaling.TargetAnnotationKey] == "" {
				t.Errorf("%s: neither containerConcurrency nor a target says when to scale", s.Name)
			}
		}
	})
}

// Each function says what it needs, and cannot take all memory of a node; its
// collector knows of the limit. CPU is not limited, which would slow the start
// from zero, but in a classroom.
func TestResources(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			c := container(t, s)
			r := c.Resources
			if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() {
				t.Errorf("%s: resources %+v", s.Name, r)
			}
			if r.Limits.Cpu().IsZero() == (m.folder == "overlays/classroom") {
				t.Errorf("%s: CPU limit %s", s.Name, r.Limits.Cpu())
			}
			if r.Requests.Memory().Cmp(*r.Limits.Memory()) > 0 {
				t.Errorf("%s: asks for more memory than it may have", s.Name)
			}
			mib, err := strconv.ParseInt(strings.TrimSuffix(value(c, "GOMEMLIMIT"), "MiB"), 10, 64)
			if limit := r.Limits.Memory().Value(); err != nil || mib<<20 >= limit || mib<<20 < limit/2 {
				t.Errorf("%s: GOMEMLIMIT %q of %s", s.Name, value(c, "GOMEMLIMIT"), r.Limits.Memory())
			}
		}
	})
}

// value returns the value that a container's manifest gives a variable.
func value(c *corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// Prometheus finds each function where it shows its figures.
func TestFunctionsAreScraped(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			a, port := s.Spec.Template.Annotations, value(container(t, s), "METRICS_PORT")
			if a["prometheus.io/scrape"] != "true" || a["prometheus.io/port"] != port || port == "" {
				t.Errorf("%s: annotations %v, METRICS_PORT %q", s.Name, a, port)
			}
		}
	})
}

// Contests' own voter keys are mounted where the doors look for them, for nobody else,
// and none need be there.
func TestVoterKeysAreMounted(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			c := container(t, s)
			dir, mounted := value(c, "VOTER_KEYS_DIR"), ""
			for _, mount := range c.VolumeMounts {
				for _, v := range s.Spec.Template.Spec.Volumes {
					if v.Name == mount.Name && v.Secret != nil && v.Secret.SecretName == "voter-keys" && v.Secret.Optional != nil && *v.Secret.Optional && mount.ReadOnly {
						mounted = mount.MountPath
					}
				}
			}
			if _, reads := settings(t, s.Name)["VOTER_KEYS_DIR"]; reads != (dir != "") || dir != mounted {
				t.Errorf("%s: VOTER_KEYS_DIR %q, mounted at %q", s.Name, dir, mounted)
			}
		}
	})
}

// Contests are mounted where a function looks for them, and all the same ones.
func TestContestsAreMounted(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			c := container(t, s)
			dir, mounted := value(c, "CONTESTS_DIR"), ""
			for _, mount := range c.VolumeMounts {
				for _, v := range s.Spec.Template.Spec.Volumes {
					if v.Name == mount.Name && v.ConfigMap != nil && v.ConfigMap.Name == "contests" && mount.ReadOnly {
						mounted = mount.MountPath
					}
				}
			}
			if _, reads := settings(t, s.Name)["CONTESTS_DIR"]; reads != (dir != "") || dir != mounted {
				t.Errorf("%s: CONTESTS_DIR %q, mounted at %q", s.Name, dir, mounted)
			}
		}
	})
}
