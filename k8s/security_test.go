package k8s

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// templates are the pods that objects make.
func templates(all []object) map[string]*corev1.PodTemplateSpec {
	found := map[string]*corev1.PodTemplateSpec{}
	for _, o := range all {
		switch typed := o.typed.(type) {
		case *appsv1.Deployment:
			found[o.String()] = &typed.Spec.Template
		case *batchv1.Job:
			found[o.String()] = &typed.Spec.Template
		}
	}
	return found
}

// restricted says what the Pod Security level of that name has against a pod.
func restricted(t *testing.T, pod *corev1.PodTemplateSpec) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
	if result.Allowed {
		return ""
	}
	return result.ForbiddenReason() + ": " + result.ForbiddenDetail()
}

// Every pod may run in a namespace with pod-security.kubernetes.io/enforce:
// restricted, and is bounded beyond that.
func TestPodsAreRestricted(t *testing.T) {
	for name, text := range builds(t) {
		t.Run(name, func(t *testing.T) {
			for of, pod := range templates(objects(t, text)) {
				if why := restricted(t, pod); why != "" {
					t.Errorf("%s: %s", of, why)
				}
				if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
					t.Errorf("%s gets a token for the Kubernetes API", of)
				}
				for _, c := range append(pod.Spec.Containers, pod.Spec.InitContainers...) {
					if ro := c.SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
						t.Errorf("%s: container %s may write to its image", of, c.Name)
					}
					for _, r := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
						if _, ok := c.Resources.Limits[r]; !ok || len(c.Resources.Requests) < 2 {
							t.Errorf("%s: container %s has no request or no limit of %s", of, c.Name, r)
						}
					}
				}
				for _, v := range pod.Spec.Volumes {
					if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
						t.Errorf("%s: volume %s has no bound", of, v.Name)
					}
				}
			}
		})
	}
}

// What makes a pod restricted, taken away, is missed.
func TestLessThanRestrictedIsFound(t *testing.T) {
	text := build(t, "overlays/git-sync")
	for name, spoil := range map[string]func(*corev1.PodSpec){
		"as root":          func(p *corev1.PodSpec) { p.SecurityContext.RunAsUser = new(int64(0)) },
		"perhaps as root":  func(p *corev1.PodSpec) { p.SecurityContext.RunAsNonRoot = nil },
		"system calls":     func(p *corev1.PodSpec) { p.SecurityContext.SeccompProfile = nil },
		"privileges":       func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
		"capabilities":     func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Capabilities = nil },
		"of a sidecar":     func(p *corev1.PodSpec) { p.InitContainers[0].SecurityContext.Capabilities = nil },
		"the host's ports": func(p *corev1.PodSpec) { p.Containers[0].Ports[0].HostPort = 80 },
		"the host's files": func(p *corev1.PodSpec) {
			p.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := find[*appsv1.Deployment](t, objects(t, text), balancer).Spec.Template
			spoil(&pod.Spec)
			if why := restricted(t, &pod); why == "" {
				t.Error("nobody notices")
			} else {
				fmt.Fprintln(t.Output(), why)
			}
		})
	}
}
