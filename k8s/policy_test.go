package k8s

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const policies = "../policies/kubernetes"

// policyFiles are the files that lb reads of a directory: those ending in .yaml or .yml.
func policyFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, ending := range []string{"*.yaml", "*.yml"} {
		names, err := filepath.Glob(filepath.Join(policies, ending))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(name)] = string(text)
		}
	}
	if len(files) == 0 {
		t.Fatal("no policy")
	}
	return files
}

// The policy in the cluster is the one of the repository: the same files, the same
// bytes, and so the same hash, which lb validate prints.
func TestConfigMapIsThePolicy(t *testing.T) {
	hash := command(t, "lb", "validate", "--output", "hash", policies)
	for name, text := range builds(t) {
		for _, m := range ofType[*corev1.ConfigMap](objects(t, text)) {
			if !strings.Contains(m.Name, "go-loadbalancer-policies") {
				continue
			}
			if !maps.Equal(m.Data, policyFiles(t)) || len(m.BinaryData) != 0 {
				t.Errorf("%s: %s has %v, not the files of %s", name, m.Name, slices.Sorted(maps.Keys(m.Data)), policies)
			}
			if got := command(t, "lb", "validate", "--output", "hash", mounted(t, m)); got != hash {
				t.Errorf("%s: the hash of %s is %s, of the directory %s", name, m.Name, got, hash)
			}
		}
	}
	text, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if m := find[*corev1.ConfigMap](t, objects(t, text), "go-loadbalancer-policies"); !maps.Equal(m.Data, policyFiles(t)) {
		t.Error("deployment.yaml has another policy: cd k8s && go test . -update")
	}
}

// In each overlay the policy gets to the pods in its own way.
func TestPolicyReachesThePods(t *testing.T) {
	for overlay, check := range map[string]func(*testing.T, *appsv1.Deployment, []*corev1.ConfigMap){
		"hot-reload": func(t *testing.T, d *appsv1.Deployment, m []*corev1.ConfigMap) {
			if len(m) != 1 || m[0].Name != "go-loadbalancer-policies" || m[0].Immutable != nil {
				t.Errorf("a change must reach the pods by the same name: %v", m)
			}
		},
		"immutable": func(t *testing.T, d *appsv1.Deployment, m []*corev1.ConfigMap) {
			if len(m) != 1 || !strings.HasPrefix(m[0].Name, "go-loadbalancer-policies-") || m[0].Immutable == nil || !*m[0].Immutable {
				t.Errorf("a change must be another ConfigMap: %v", m)
			}
		},
		"git-sync": func(t *testing.T, d *appsv1.Deployment, m []*corev1.ConfigMap) {
			pod := d.Spec.Template.Spec
			if len(m) != 0 || len(pod.InitContainers) != 1 {
				t.Fatalf("ConfigMaps %v, init containers %v", m, pod.InitContainers)
			}
			sync := pod.InitContainers[0]
			if sync.RestartPolicy == nil || *sync.RestartPolicy != corev1.ContainerRestartPolicyAlways || sync.StartupProbe == nil {
				t.Error("it goes on beside the balancer, which waits for the first checkout")
			}
			root := argument(t, sync, "root")
			want := root + "/" + argument(t, sync, "link") + "/" + strings.TrimPrefix(policies, "../")
			if got := argument(t, pod.Containers[0], "policies"); got != want {
				t.Errorf("lb reads %s, git-sync publishes %s", got, want)
			}
			for _, c := range append(pod.InitContainers, pod.Containers...) {
				if c.VolumeMounts[0].Name != "policies" || c.VolumeMounts[0].MountPath != root || c.VolumeMounts[0].ReadOnly != (c.Name == "lb") {
					t.Errorf("%s mounts %v", c.Name, c.VolumeMounts[0])
				}
			}
		},
	} {
		t.Run(overlay, func(t *testing.T) {
			all := objects(t, build(t, "overlays/"+overlay))
			check(t, find[*appsv1.Deployment](t, all, balancer), ofType[*corev1.ConfigMap](all))
		})
	}
}

// The policy is for the cluster it is deployed to: its endpoints are Services of
// the try-out, on ports they have, one endpoint a pod; it listens where the
// Deployment's port is.
func TestPolicyNamesServices(t *testing.T) {
	all := objects(t, build(t, "overlays/try-out"))
	pod := find[*appsv1.Deployment](t, all, balancer).Spec.Template
	http, _ := port(&pod, intstr.FromString("http"))
	text := strings.Join(slices.Collect(maps.Values(policyFiles(t))), "\n")
	if !strings.Contains(text, "address: \":8000\"") || http.ContainerPort != 8000 {
		t.Errorf("the listener's port is not the container's, %d", http.ContainerPort)
	}
	for _, name := range []string{"cart", "catalog"} {
		s := find[*corev1.Service](t, all, name)
		if s.Spec.ClusterIP != corev1.ClusterIPNone || s.Spec.Ports[0].Port != 8080 || !strings.Contains(text, `address: "`+name+`:8080"`) {
			t.Errorf("Service %s is not what the policy has for an endpoint", name)
		}
	}
	secret := find[*corev1.Secret](t, all, "go-loadbalancer-redis")
	redis := find[*corev1.Service](t, all, "redis")
	if secret.StringData["url"] != "redis://redis:6379" || redis.Spec.Ports[0].Port != 6379 {
		t.Errorf("Redis is at %s, says the Secret", secret.StringData["url"])
	}
	for _, e := range pod.Spec.Containers[0].Env {
		if e.Name == "LB_REDIS_URL" && (e.ValueFrom.SecretKeyRef.Name != secret.Name || e.ValueFrom.SecretKeyRef.Key != "url" || !*e.ValueFrom.SecretKeyRef.Optional) {
			t.Errorf("LB_REDIS_URL comes from %v", e.ValueFrom.SecretKeyRef)
		}
	}
}
