package knative

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func is(b *bool, want bool) bool { return b != nil && *b == want }

func confined(p *corev1.SeccompProfile) bool {
	return p != nil && p.Type == corev1.SeccompProfileTypeRuntimeDefault
}

func dropsAll(c *corev1.Capabilities) bool {
	return c != nil && slices.Equal(c.Drop, []corev1.Capability{"ALL"}) && len(c.Add) == 0
}

// No container runs as root, gains rights, or writes to its image; all are under
// the restricted standard.
func TestSecurity(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			of := corev1.PodSecurityContext{}
			if p.spec.SecurityContext != nil {
				of = *p.spec.SecurityContext
			}
			for _, c := range p.containers() {
				s := c.SecurityContext
				if s == nil || !is(s.AllowPrivilegeEscalation, false) || !is(s.ReadOnlyRootFilesystem, true) || !dropsAll(s.Capabilities) ||
					!is(s.RunAsNonRoot, true) && !is(of.RunAsNonRoot, true) || !confined(s.SeccompProfile) && !confined(of.SeccompProfile) {
					t.Errorf("%s: %s: securityContext %+v, its pod's %+v", p.owner, c.Name, s, of)
				}
			}
		}
	})
}

// Each pod has an account that is there, and no token for the cluster but for
// Prometheus, which finds pods by it and may do nothing else.
func TestAccounts(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			account := named[corev1.ServiceAccount](t, m, p.spec.ServiceAccountName)
			if !is(account.AutomountServiceAccountToken, false) {
				t.Errorf("account %s gives a token to whoever does not refuse it", account.Name)
			}
			if !is(p.spec.AutomountServiceAccountToken, account.Name == "prometheus") {
				t.Errorf("%s: automountServiceAccountToken is not right", p.owner)
			}
			if !is(p.spec.EnableServiceLinks, false) {
				t.Errorf("%s: the environment holds the addresses of all services", p.owner)
			}
		}
		for _, b := range of[rbacv1.RoleBinding](m) {
			if len(b.Subjects) != 1 || b.Subjects[0].Name != "prometheus" || b.RoleRef.Kind != "Role" {
				t.Errorf("RoleBinding %s: %+v gets %+v", b.Name, b.Subjects, b.RoleRef)
			}
			for _, rule := range named[rbacv1.Role](t, m, b.RoleRef.Name).Rules {
				if !slices.Equal(rule.Resources, []string{"pods"}) || slices.ContainsFunc(rule.Verbs, func(v string) bool { return !slices.Contains([]string{"get", "list", "watch"}, v) }) {
					t.Errorf("Role %s: %+v", b.RoleRef.Name, rule)
				}
			}
		}
	})
}

var pinned = regexp.MustCompile(`:v?[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?$`)

// Every image is one that stays what it is: ko's, or of an exact version.
func TestImagesArePinned(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		for _, p := range slices.Concat(pods(m), functionPods(m)) {
			for _, c := range p.containers() {
				if !strings.HasPrefix(c.Image, "ko://marimba/functions/") && !pinned.MatchString(c.Image) {
					t.Errorf("%s: image %s", p.owner, c.Image)
				}
			}
		}
		if v := named[kafkaCluster](t, m, "marimba").Spec.Kafka.Version; !pinned.MatchString(":" + v) {
			t.Errorf("Kafka's version is %q", v)
		}
	})
}

// Each container that runs for good says what it needs and when it is well.
func TestStores(t *testing.T) {
	listening := []string{"redis", "mongod", "prometheus", "grafana"}
	each(t, func(t *testing.T, m *manifests) {
		for _, p := range pods(m) {
			for _, c := range p.containers() {
				r := c.Resources
				if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() || r.Requests.Memory().Cmp(*r.Limits.Memory()) > 0 {
					t.Errorf("%s: %s: resources %+v", p.owner, c.Name, r)
				}
				if slices.Contains(listening, c.Name) != (c.StartupProbe != nil && c.ReadinessProbe != nil && c.LivenessProbe != nil) {
					t.Errorf("%s: probes of %s", p.owner, c.Name)
				}
				for _, mount := range c.VolumeMounts {
					if !slices.Contains(p.claims, mount.Name) && !slices.ContainsFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
						t.Errorf("%s: %s mounts %s, which is not there", p.owner, c.Name, mount.Name)
					}
				}
			}
		}
		for _, s := range of[appsv1.StatefulSet](m) {
			if s.Spec.RevisionHistoryLimit == nil || len(s.Spec.VolumeClaimTemplates) == 0 || s.Spec.Template.Spec.TerminationGracePeriodSeconds == nil {
				t.Errorf("%s: it needs a disk, time to end and a bound of what is kept of it", s.Name)
			}
			named[corev1.Service](t, m, s.Spec.ServiceName)
		}
		for _, d := range of[appsv1.Deployment](m) {
			if d.Spec.RevisionHistoryLimit == nil {
				t.Errorf("%s: no bound of what is kept of it", d.Name)
			}
		}
	})
}

// What selects pods selects some.
func TestSelectors(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		all := slices.Concat(pods(m), functionPods(m))
		selects := func(who string, selector *metav1.LabelSelector) {
			t.Helper()
			s, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil {
				t.Errorf("%s: %v", who, err)
			} else if !slices.ContainsFunc(all, func(p pod) bool { return s.Matches(labels.Set(p.labels)) }) {
				t.Errorf("%s: %s selects no pod", who, s)
			}
		}
		for _, s := range of[corev1.Service](m) {
			selects("Service "+s.Name, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		}
		for _, b := range of[policyv1.PodDisruptionBudget](m) {
			selects("PodDisruptionBudget "+b.Name, b.Spec.Selector)
		}
		for _, n := range of[networkingv1.NetworkPolicy](m) {
			selects("NetworkPolicy "+n.Name, &n.Spec.PodSelector)
			var peers []networkingv1.NetworkPolicyPeer
			for _, rule := range n.Spec.Ingress {
				peers = append(peers, rule.From...)
			}
			for _, rule := range n.Spec.Egress {
				peers = append(peers, rule.To...)
			}
			for i, peer := range peers {
				if peer.PodSelector != nil && peer.NamespaceSelector == nil {
					selects(fmt.Sprintf("NetworkPolicy %s: peer %d", n.Name, i), peer.PodSelector)
				}
			}
		}
		for _, p := range pods(m) {
			for _, spread := range p.spec.TopologySpreadConstraints {
				selects(p.owner, spread.LabelSelector)
			}
		}
	})
}

// The limits of the system that this one succeeds.
func TestClassroom(t *testing.T) {
	m := render(t, "overlays/classroom")
	want := map[string]string{
		"ingress-http": "200m/128Mi", "ingress-grpc": "200m/128Mi", "screen": "100m/128Mi", "tally": "100m/128Mi", "notary": "100m/128Mi", "shelve": "100m/128Mi",
		"results": "200m/128Mi", "redis": "200m/128Mi", "mongod": "300m/256Mi", "grafana": "100m/128Mi",
	}
	got := map[string]string{}
	limits := func(r corev1.ResourceRequirements) string {
		return r.Limits.Cpu().String() + "/" + r.Limits.Memory().String()
	}
	for _, s := range m.services {
		got[s.Name] = limits(container(t, s).Resources)
	}
	for _, p := range pods(m) {
		for _, c := range p.spec.Containers {
			got[c.Name] = limits(c.Resources)
		}
	}
	for name, limit := range want {
		if got[name] != limit {
			t.Errorf("%s: limits %s, want %s", name, got[name], limit)
		}
	}
}

// Where a machine may fail, stores have members on several, which are not emptied
// at once.
func TestStoresAreSeveral(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		want := map[string]int32{"redis": 1, "mongodb": 1}
		if isSecure(m.folder) {
			want = map[string]int32{"redis": 6, "mongodb": 3}
		}
		for name, members := range want {
			s := named[appsv1.StatefulSet](t, m, name)
			if *s.Spec.Replicas != members {
				t.Errorf("%s has %d members, want %d", name, *s.Spec.Replicas, members)
			}
			if members == 1 {
				continue
			}
			spread := s.Spec.Template.Spec.TopologySpreadConstraints
			if !slices.ContainsFunc(spread, func(c corev1.TopologySpreadConstraint) bool {
				return c.TopologyKey == corev1.LabelHostname && c.WhenUnsatisfiable == corev1.DoNotSchedule
			}) {
				t.Errorf("%s: members may share a machine: %+v", name, spread)
			}
			if b := named[policyv1.PodDisruptionBudget](t, m, name); b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() != 1 {
				t.Errorf("%s: %+v may be missing", name, b.Spec)
			}
		}
		if !isSecure(m.folder) {
			return
		}
		if spread := named[kafkaNodePool](t, m, "nodes").Spec.Template.Pod.TopologySpreadConstraints; len(spread) == 0 {
			t.Error("brokers may share a machine")
		}
	})
}

// Where others share the cluster, who is not named talks to nobody, in both
// directions.
func TestNobodyTalks(t *testing.T) {
	each(t, func(t *testing.T, m *manifests) {
		all := of[networkingv1.NetworkPolicy](m)
		if !isSecure(m.folder) {
			if len(all) != 0 {
				t.Errorf("%d NetworkPolicies", len(all))
			}
			return
		}
		nobody := named[networkingv1.NetworkPolicy](t, m, "nobody").Spec
		if len(nobody.PodSelector.MatchLabels)+len(nobody.PodSelector.MatchExpressions)+len(nobody.Ingress)+len(nobody.Egress) != 0 || len(nobody.PolicyTypes) != 2 {
			t.Errorf("nobody: %+v", nobody)
		}
		for _, n := range all {
			for _, rule := range n.Spec.Ingress {
				if len(rule.From) == 0 {
					t.Errorf("%s lets everybody in", n.Name)
				}
			}
			for _, rule := range n.Spec.Egress {
				if len(rule.To) == 0 && n.Name != "prometheus" { // the cluster's API
					t.Errorf("%s lets out to everybody", n.Name)
				}
			}
		}
	})
}

// Grafana's data sources are the same everywhere, but that Redis speaks TLS where
// others share the cluster; and Grafana has what they refer to.
func TestDataSources(t *testing.T) {
	plain := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\n"); !strings.HasPrefix(line, "#") && !strings.Contains(line, "tlsAuth: true") && !strings.Contains(line, "tlsCACert: $REDIS_TLS_CA") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	text := func(m *manifests) string {
		t.Helper()
		for _, p := range pods(m) {
			for _, v := range p.spec.Volumes {
				if v.Name == "datasources" {
					return named[corev1.ConfigMap](t, m, v.ConfigMap.Name).Data["marimba.yaml"]
				}
			}
		}
		t.Fatal("Grafana has no data sources")
		return ""
	}
	base := text(render(t, "base"))
	each(t, func(t *testing.T, m *manifests) {
		here := text(m)
		if plain(here) != plain(base) {
			t.Errorf("data sources differ from base's:\n%s", here)
		}
		if strings.Contains(here, "tlsAuth: true") != isSecure(m.folder) {
			t.Error("Redis with TLS, or without")
		}
		grafana := named[appsv1.Deployment](t, m, "grafana").Spec.Template.Spec.Containers[0]
		for _, name := range regexp.MustCompile(`[^$]\$([A-Z_]+)`).FindAllStringSubmatch(plain(here), -1) {
			if name[1] != "TRACES_URL" && !slices.ContainsFunc(grafana.Env, func(e corev1.EnvVar) bool { return e.Name == name[1] }) {
				t.Errorf("Grafana has no %s", name[1])
			}
		}
	})
}
