package k8s

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

const balancer = "go-loadbalancer"

// argument is the value of a --flag=value of a container.
func argument(t *testing.T, c corev1.Container, flag string) string {
	t.Helper()
	for _, a := range c.Args {
		if value, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
			return value
		}
	}
	t.Fatalf("container %s has no --%s", c.Name, flag)
	return ""
}

func env(c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// port finds a port of a pod by what refers to it.
func port(pod *corev1.PodTemplateSpec, by intstr.IntOrString) (corev1.ContainerPort, bool) {
	for _, c := range append(pod.Spec.Containers, pod.Spec.InitContainers...) {
		for _, p := range c.Ports {
			if by.Type == intstr.String && p.Name == by.StrVal || by.Type == intstr.Int && p.ContainerPort == by.IntVal {
				return p, true
			}
		}
	}
	return corev1.ContainerPort{}, false
}

// What refers to something refers to something that is there.
func TestReferences(t *testing.T) {
	for name, text := range builds(t) {
		if name == "verify" { // which is about what another build makes
			continue
		}
		t.Run(name, func(t *testing.T) { references(t, objects(t, text)) })
	}
}

func references(t *testing.T, all []object) {
	pods := templates(all)
	var maps, accounts []string
	for _, m := range ofType[*corev1.ConfigMap](all) {
		if m.Labels["grafana_dashboard"] == "" { // which Grafana's sidecar uses
			maps = append(maps, m.Name)
		}
	}
	for _, a := range ofType[*corev1.ServiceAccount](all) {
		accounts = append(accounts, a.Name)
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			t.Errorf("ServiceAccount %s gives tokens away", a.Name)
		}
	}
	var used []string
	for of, pod := range pods {
		var volumes []string
		for _, v := range pod.Spec.Volumes {
			volumes = append(volumes, v.Name)
			if v.ConfigMap != nil {
				used = append(used, v.ConfigMap.Name)
				if !slices.Contains(maps, v.ConfigMap.Name) {
					t.Errorf("%s: there is no ConfigMap %s", of, v.ConfigMap.Name)
				}
			}
		}
		if a := pod.Spec.ServiceAccountName; a != "" && !slices.Contains(accounts, a) {
			t.Errorf("%s: there is no ServiceAccount %s", of, a)
		}
		for _, c := range append(pod.Spec.Containers, pod.Spec.InitContainers...) {
			for _, m := range c.VolumeMounts {
				if !slices.Contains(volumes, m.Name) {
					t.Errorf("%s: container %s mounts %s, which is no volume", of, c.Name, m.Name)
				}
				if m.SubPath != "" || m.SubPathExpr != "" {
					t.Errorf("%s: what is mounted by subPath, at %s, never changes", of, m.MountPath)
				}
			}
			for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
				if p == nil {
					continue
				}
				to := intstr.IntOrString{}
				if p.HTTPGet != nil {
					to = p.HTTPGet.Port
				} else if p.TCPSocket != nil {
					to = p.TCPSocket.Port
				}
				if _, ok := port(pod, to); !ok {
					t.Errorf("%s: a probe of container %s asks port %s, which it does not have", of, c.Name, to.String())
				}
			}
		}
	}
	for _, m := range maps {
		if !slices.Contains(used, m) {
			t.Errorf("nothing uses ConfigMap %s", m)
		}
	}

	for _, d := range ofType[*appsv1.Deployment](all) {
		if !selects(t, d.Spec.Selector, d.Spec.Template.Labels) {
			t.Errorf("Deployment %s does not select its own pods", d.Name)
		}
	}
	for _, s := range ofType[*corev1.Service](all) {
		found := selected(t, pods, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(found) != 1 {
			t.Errorf("Service %s selects %v, want one of %d", s.Name, found, len(pods))
			continue
		}
		for _, p := range s.Spec.Ports {
			to, ok := port(pods[found[0]], p.TargetPort)
			if !ok {
				t.Errorf("Service %s: %s has no port %s", s.Name, found[0], p.TargetPort.String())
			}
			if s.Spec.ClusterIP == corev1.ClusterIPNone && to.ContainerPort != p.Port {
				t.Errorf("Service %s is headless, so port %d is asked of pods that have %d", s.Name, p.Port, to.ContainerPort)
			}
		}
	}
	for _, b := range ofType[*policyv1.PodDisruptionBudget](all) {
		if found := selected(t, pods, b.Spec.Selector); len(found) != 1 {
			t.Errorf("PodDisruptionBudget %s selects %v", b.Name, found)
		}
	}
	for _, n := range ofType[*networkingv1.NetworkPolicy](all) {
		found := selected(t, pods, &n.Spec.PodSelector)
		if len(found) == 0 {
			t.Errorf("NetworkPolicy %s selects nothing", n.Name)
			continue
		}
		for _, in := range n.Spec.Ingress {
			for _, p := range in.Ports {
				if _, ok := port(pods[found[0]], *p.Port); !ok {
					t.Errorf("NetworkPolicy %s: %s has no port %s", n.Name, found[0], p.Port)
				}
			}
		}
	}
}

func selects(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return !selector.Empty() && selector.Matches(labels.Set(of))
}

func selected(t *testing.T, pods map[string]*corev1.PodTemplateSpec, s *metav1.LabelSelector) []string {
	t.Helper()
	var found []string
	for of, pod := range pods {
		if selects(t, s, pod.Labels) {
			found = append(found, of)
		}
	}
	return found
}

// The times and sizes of the balancer's pods fit each other, in every overlay.
func TestBalancerFits(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			all := objects(t, build(t, "overlays/"+overlay))
			d := find[*appsv1.Deployment](t, all, balancer)
			pod := d.Spec.Template.Spec
			lb := pod.Containers[0]
			if len(pod.Containers) != 1 || lb.Name != "lb" {
				t.Fatalf("containers: %v", pod.Containers)
			}
			if d.Spec.Replicas != nil {
				t.Error("replicas are the HorizontalPodAutoscaler's to say")
			}
			if r := d.Spec.Strategy.RollingUpdate; r == nil || r.MaxUnavailable.IntValue() != 0 || r.MaxSurge.IntValue() < 1 {
				t.Error("a rollout whose new pods do not start must take nothing away")
			}

			shutdown, err := time.ParseDuration(argument(t, lb, "shutdown-timeout"))
			if err != nil {
				t.Fatal(err)
			}
			sleep := time.Duration(lb.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
			if sleep < 5*time.Second || sleep > 10*time.Second || grace < sleep+shutdown+5*time.Second {
				t.Errorf("grace period %v, preStop %v, shutdown timeout %v", grace, sleep, shutdown)
			}

			cpu, memory := lb.Resources.Limits.Cpu(), lb.Resources.Limits.Memory()
			if cpu.MilliValue() != 500 || memory.Cmp(resource.MustParse("256Mi")) != 0 || !equality.Semantic.DeepEqual(lb.Resources.Limits, lb.Resources.Requests) {
				t.Errorf("resources: %v", lb.Resources)
			}
			goMemory := resource.MustParse(strings.TrimSuffix(env(lb, "GOMEMLIMIT"), "B"))
			if share := float64(goMemory.Value()) / float64(memory.Value()); share < 0.85 || share > 0.92 {
				t.Errorf("GOMEMLIMIT is %.2f of the memory limit", share)
			}
			if got := env(lb, "GOMAXPROCS"); got != "1" {
				t.Errorf("GOMAXPROCS %q with %s of a core", got, cpu)
			}

			if lb.LivenessProbe.HTTPGet.Path != "/healthz" || lb.ReadinessProbe.HTTPGet.Path != "/readyz" || lb.StartupProbe == nil {
				t.Error("probes: liveness is /healthz, which asks nothing of endpoints; readiness is /readyz")
			}
			if admin, _ := port(&d.Spec.Template, intstr.FromString("admin")); argument(t, lb, "admin") != ":8080" || admin.ContainerPort != 8080 {
				t.Errorf("admin address %s, port %d", argument(t, lb, "admin"), admin.ContainerPort)
			}
			var topologies []string
			for _, s := range pod.TopologySpreadConstraints {
				topologies = append(topologies, s.TopologyKey)
				if !selects(t, s.LabelSelector, d.Spec.Template.Labels) {
					t.Error("a topology spread that does not count these pods")
				}
			}
			slices.Sort(topologies)
			if !slices.Equal(topologies, []string{corev1.LabelHostname, corev1.LabelTopologyZone}) {
				t.Errorf("spread over %v", topologies)
			}
			b := find[*policyv1.PodDisruptionBudget](t, all, balancer)
			if b.Spec.MaxUnavailable.IntValue() != 1 {
				t.Error("the disruption budget must leave a replica of two, and let nodes be drained")
			}
		})
	}
}

// scaler checks what every way to scale has in common.
func scaler(t *testing.T, spec autoscalingv2.HorizontalPodAutoscalerSpec, d *appsv1.Deployment) {
	t.Helper()
	if *spec.MinReplicas != 2 || spec.MaxReplicas != 10 {
		t.Errorf("%d to %d replicas", *spec.MinReplicas, spec.MaxReplicas)
	}
	if spec.ScaleTargetRef != (autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name}) {
		t.Errorf("scales %v", spec.ScaleTargetRef)
	}
	m := spec.Metrics[0]
	if m.Type != autoscalingv2.ContainerResourceMetricSourceType || m.ContainerResource.Name != corev1.ResourceCPU ||
		m.ContainerResource.Container != d.Spec.Template.Spec.Containers[0].Name {
		t.Errorf("scales first by %v", m)
	}
	up, down := spec.Behavior.ScaleUp, spec.Behavior.ScaleDown
	if *up.StabilizationWindowSeconds != 0 || *down.StabilizationWindowSeconds < 60 || len(down.Policies) != 1 || down.Policies[0].Value != 1 {
		t.Errorf("behaviour: up %v, down %v", up, down)
	}
}

func TestScaling(t *testing.T) {
	all := objects(t, build(t, "overlays/hot-reload"))
	d := find[*appsv1.Deployment](t, all, balancer)
	base := find[*autoscalingv2.HorizontalPodAutoscaler](t, all, "go-loadbalancer-hpa")
	scaler(t, base.Spec, d)
	if len(base.Spec.Metrics) != 1 {
		t.Error("on a bare cluster there is nothing but CPU to scale by")
	}

	t.Run("adapter", func(t *testing.T) {
		all := objects(t, buildWith(t, "hot-reload", []string{"in-flight-adapter"}))
		h := find[*autoscalingv2.HorizontalPodAutoscaler](t, all, "go-loadbalancer-hpa")
		scaler(t, h.Spec, d)
		if len(h.Spec.Metrics) != 2 || h.Spec.Metrics[1].Pods == nil || h.Spec.Metrics[1].Pods.Metric.Name != "lb_requests_in_flight" {
			t.Errorf("metrics: %v", h.Spec.Metrics)
		}
	})
	t.Run("keda", func(t *testing.T) {
		all := objects(t, buildWith(t, "hot-reload", []string{"in-flight-keda"}))
		if left := ofType[*autoscalingv2.HorizontalPodAutoscaler](all); len(left) != 0 {
			t.Error("two that scale the same fight")
		}
		o := scaledObject(t, all)
		if o.Spec.ScaleTargetRef.Name != d.Name || o.Spec.MinReplicaCount != *base.Spec.MinReplicas || o.Spec.MaxReplicaCount != base.Spec.MaxReplicas ||
			o.Spec.Advanced.HPA.Name != base.Name {
			t.Errorf("%+v", o.Spec)
		}
		if !equality.Semantic.DeepEqual(o.Spec.Advanced.HPA.Behavior, *base.Spec.Behavior) {
			t.Error("it behaves differently from base/hpa.yaml")
		}
		if c := o.Spec.Triggers[0].Metadata; c["containerName"] != "lb" || c["value"] != "60" {
			t.Errorf("CPU: %v", c)
		}
		inFlight(t, all, "default")
		inFlight(t, objects(t, buildText(t, documented(t, "kubernetes.md", "namespace: shop"))), "shop")
	})
}

// scaled is of a ScaledObject what is looked at here; its schema is checked elsewhere.
type scaled struct {
	Spec struct {
		ScaleTargetRef                   struct{ Name string }
		MinReplicaCount, MaxReplicaCount int32
		Triggers                         []struct {
			Type     string
			Metadata map[string]string
		}
		Advanced struct {
			HPA struct {
				Name     string
				Behavior autoscalingv2.HorizontalPodAutoscalerBehavior
			} `json:"horizontalPodAutoscalerConfig"`
		}
	}
}

// inFlight sees to it that KEDA counts the requests of one namespace alone, and takes no
// count for an error.
func inFlight(t *testing.T, all []object, namespace string) {
	t.Helper()
	got := scaledObject(t, all).Spec.Triggers[1].Metadata
	if want := fmt.Sprintf(`sum(lb_requests_in_flight{job="go-loadbalancer", namespace=%q})`, namespace); got["query"] != want || got["ignoreNullValues"] != "false" {
		t.Errorf("it asks for %v, not for %s", got, want)
	}
}

func scaledObject(t *testing.T, all []object) scaled {
	t.Helper()
	for _, o := range all {
		if o.kind.Kind == "ScaledObject" {
			var s scaled
			if err := yaml.Unmarshal(o.text, &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	t.Fatal("there is no ScaledObject")
	return scaled{}
}

// The Job asks the admin Service, which tells of every pod, and is not served by it.
func TestVerifyJob(t *testing.T) {
	job := find[*batchv1.Job](t, objects(t, build(t, "verify")), "verify-go-loadbalancer")
	all := objects(t, build(t, "overlays/hot-reload"))
	admin := find[*corev1.Service](t, all, "go-loadbalancer-admin")
	c := job.Spec.Template.Spec.Containers[0]
	if admin.Spec.ClusterIP != corev1.ClusterIPNone || !admin.Spec.PublishNotReadyAddresses {
		t.Error("the admin Service does not tell of every pod")
	}
	if got := argument(t, c, "admin"); got != "http://"+admin.Name+":8080" {
		t.Errorf("asks %s", got)
	}
	if labels.Set(admin.Spec.Selector).AsSelector().Matches(labels.Set(job.Spec.Template.Labels)) {
		t.Error("the Job's own pod is taken for a replica")
	}
	timeout, err := time.ParseDuration(argument(t, c, "timeout"))
	if deadline := time.Duration(*job.Spec.ActiveDeadlineSeconds) * time.Second; err != nil || deadline <= timeout || timeout < 3*time.Minute {
		t.Errorf("timeout %v, deadline %v, %v: a ConfigMap takes up to two minutes", timeout, deadline, err)
	}
	if d := find[*appsv1.Deployment](t, all, balancer); c.Image != d.Spec.Template.Spec.Containers[0].Image {
		t.Error("it is of another image than the balancer")
	}
}
