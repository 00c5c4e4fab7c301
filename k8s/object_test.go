package k8s

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// strict decodes the kinds that every cluster has, as the API server does with
// fieldValidation=Strict: no unknown, wrongly written or repeated field.
var strict = func() runtime.Decoder {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme,
		corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		utilruntime.Must(add(s))
	}
	return serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
}()

// object is one document.
type object struct {
	kind  schema.GroupVersionKind
	name  string
	text  []byte
	typed runtime.Object // nil: of a kind that a CRD brings
}

func (o object) String() string { return o.kind.Kind + " " + o.name }

// decode decodes one document, built-in kinds strictly; others are for the schemas
// of their CRDs to judge.
func decode(text []byte) (object, error) {
	var about metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(text, &about); err != nil {
		return object{}, err
	}
	o := object{kind: about.GroupVersionKind(), name: about.Name, text: text}
	if o.kind.Kind == "" || o.name == "" {
		return o, fmt.Errorf("a document without kind or name: %.60q", text)
	}
	if strings.Contains(o.kind.Group, ".") && !strings.HasSuffix(o.kind.Group, ".k8s.io") {
		return o, checkCustom(o)
	}
	typed, _, err := strict.Decode(text, nil, nil)
	if err != nil {
		return o, fmt.Errorf("%s: %w", o, err)
	}
	o.typed = typed
	return o, nil
}

// objects decodes all documents of a file.
func objects(t *testing.T, file []byte) []object {
	t.Helper()
	var all []object
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file)))
	for {
		text, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		o, err := decode(text)
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		t.Fatal("there is nothing in it")
	}
	return all
}

// find returns the only one of a type with a name.
func find[T runtime.Object](t *testing.T, all []object, name string) T {
	t.Helper()
	var found []T
	for _, o := range all {
		if typed, ok := o.typed.(T); ok && o.name == name {
			found = append(found, typed)
		}
	}
	if len(found) != 1 {
		var zero T
		t.Fatalf("there are %d %T %s", len(found), zero, name)
	}
	return found[0]
}

// ofType returns all of a type.
func ofType[T runtime.Object](all []object) []T {
	var found []T
	for _, o := range all {
		if typed, ok := o.typed.(T); ok {
			found = append(found, typed)
		}
	}
	return found
}

// Every document of every build, and every example, is what the API servers of its
// kind accept.
func TestManifestsDecodeStrictly(t *testing.T) {
	for name, text := range builds(t) {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, o := range objects(t, text) {
				if seen[o.String()] {
					t.Errorf("%s is there twice", o)
				}
				seen[o.String()] = true
			}
		})
	}
	examples, err := filepath.Glob("[af][rl][gu]*/*.yaml")
	if err != nil || len(examples) != 3 {
		t.Fatal(examples, err)
	}
	for _, name := range examples {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			objects(t, text)
		})
	}
}

// A first try needs nothing that a cluster does not come with.
func TestDeploymentNeedsNoCRD(t *testing.T) {
	text, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects(t, text) {
		if o.typed == nil {
			t.Errorf("%s is of no built-in kind", o)
		}
		// Applied in any namespace, as kubectl -n says.
		if strings.Contains(string(o.text), "\n  namespace:") {
			t.Errorf("%s names a namespace", o)
		}
	}
}

// Each of these slips, of kinds that happen, is found.
func TestSlipsAreFound(t *testing.T) {
	all := map[string][]byte{}
	for name, text := range builds(t) {
		all[name] = text
	}
	for _, name := range []string{"argocd/application.yaml", "flux/gitrepository.yaml", "flux/balancer.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	const keda, operator = "overlays/hot-reload with prometheus-operator, in-flight-keda", "overlays/hot-reload with prometheus-operator"
	for _, c := range []struct{ in, right, wrong string }{
		{"overlays/hot-reload", "revisionHistoryLimit: 5", "revisionhistorylimit: 5"},
		{"overlays/hot-reload", "readinessProbe:", "readynessProbe:"},
		{"overlays/hot-reload", "maxUnavailable: 0", "maxUnavailable: {}"},
		{"overlays/hot-reload", "minReplicas: 2", "minReplicas: two"},
		{"overlays/hot-reload", "minReplicas: 2", "minReplicas: 2\n  minReplicas: 3"},
		{"overlays/hot-reload", "containerResource:", "containerResources:"},
		{"overlays/hot-reload", "automountServiceAccountToken: false", "automountServiceAcountToken: false"},
		{"overlays/hot-reload", "podSelector:", "podSelectors:"},
		{"overlays/hot-reload", "kind: HorizontalPodAutoscaler", "kind: HorizontalPodAutoScaler"},
		{"overlays/immutable", "immutable: true", "imutable: true"},
		{"verify", "backoffLimit: 0", "backOffLimit: 0"},
		{operator, "scrapeTimeout: 5s", "scrapeTimeOut: 5s"},
		{operator, "scrapeTimeout: 5s", "scrapeTimeout: five"},
		{operator, "jobLabel: ", "jobLabels: "},
		{operator, "for: 2m", "For: 2m"},
		{keda, "maxReplicaCount: 10", "maxReplicas: 10"},
		{keda, "maxReplicaCount: 10", "maxReplicaCount: ten"},
		{keda, "metricType: AverageValue", "metrictype: AverageValue"},
		{"argocd/application.yaml", "selfHeal: true", "selfheal: true"},
		{"argocd/application.yaml", "  project: default\n", ""},
		{"flux/gitrepository.yaml", "ref: {branch: main}", "ref: {brunch: main}"},
		{"flux/gitrepository.yaml", "interval: 1m", "interval: 1 minute"},
		{"flux/balancer.yaml", "targetNamespace: shop", "targetNameSpace: shop"},
	} {
		t.Run(c.in+" "+c.wrong, func(t *testing.T) {
			text := string(all[c.in])
			if !strings.Contains(text, c.right) {
				t.Fatalf("%q is not in it", c.right)
			}
			refused := false
			docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(strings.Replace(text, c.right, c.wrong, 1))))
			for {
				doc, err := docs.Read()
				if errors.Is(err, io.EOF) {
					break
				}
				if _, err := decode(doc); err != nil {
					refused = true
				}
			}
			if !refused {
				t.Error("nobody notices")
			}
		})
	}
}
