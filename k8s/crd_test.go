package k8s

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// crds says where the projects themselves publish the schemas of their kinds: in
// a release of their Go module. They are read from there, not copied.
var crds = map[schema.GroupKind]struct{ module, file string }{
	{Group: "monitoring.coreos.com", Kind: "ServiceMonitor"}:      {"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"},
	{Group: "monitoring.coreos.com", Kind: "PrometheusRule"}:      {"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
	{Group: "keda.sh", Kind: "ScaledObject"}:                      {"github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"},
	{Group: "argoproj.io", Kind: "Application"}:                   {"github.com/argoproj/argo-cd/v3@v3.5.7", "manifests/crds/application-crd.yaml"},
	{Group: "kustomize.toolkit.fluxcd.io", Kind: "Kustomization"}: {"github.com/fluxcd/kustomize-controller@v1.9.6", "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
	{Group: "source.toolkit.fluxcd.io", Kind: "GitRepository"}:    {"github.com/fluxcd/source-controller@v1.9.6", "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml"},
}

// moduleDir is where the go command keeps a module, which it fetches if it must,
// checked against the checksum database as every dependency is.
var moduleDir = func() func(string) (string, error) {
	var mu sync.Mutex
	known := map[string]string{}
	return func(module string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if dir := known[module]; dir != "" {
			return dir, nil
		}
		text, err := exec.Command("go", "mod", "download", "-json", module).Output()
		var got struct{ Dir, Error string }
		if jsonErr := json.Unmarshal(text, &got); jsonErr != nil || got.Dir == "" {
			return "", fmt.Errorf("go mod download %s, for its CRDs: %v %s", module, err, got.Error)
		}
		known[module] = got.Dir
		return got.Dir, nil
	}
}()

// custom is the schema of one version of a kind.
type custom struct {
	structural *structural.Structural
	validator  validation.SchemaValidator
}

// schemaOf reads a kind's schema; a second time it is remembered.
var schemaOf = func() func(schema.GroupVersionKind) (custom, error) {
	var mu sync.Mutex
	known := map[schema.GroupVersionKind]custom{}
	return func(kind schema.GroupVersionKind) (custom, error) {
		mu.Lock()
		defer mu.Unlock()
		if c, ok := known[kind]; ok {
			return c, nil
		}
		c, err := readSchema(kind)
		if err == nil {
			known[kind] = c
		}
		return c, err
	}
}()

func readSchema(kind schema.GroupVersionKind) (custom, error) {
	from, ok := crds[kind.GroupKind()]
	if !ok {
		return custom{}, fmt.Errorf("no schema of %s is known here", kind)
	}
	dir, err := moduleDir(from.module)
	if err != nil {
		return custom{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, from.file))
	if err != nil {
		return custom{}, err
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return custom{}, fmt.Errorf("%s of %s has no %s", from.file, from.module, kind)
		}
		if err != nil {
			return custom{}, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(doc, &crd); err != nil {
			return custom{}, err
		}
		for _, v := range crd.Spec.Versions {
			if crd.Spec.Group == kind.Group && crd.Spec.Names.Kind == kind.Kind && v.Name == kind.Version && v.Served {
				return compile(v.Schema.OpenAPIV3Schema)
			}
		}
	}
}

func compile(v1 *apiextensionsv1.JSONSchemaProps) (custom, error) {
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1, &props, nil); err != nil {
		return custom{}, err
	}
	s, err := structural.NewStructural(&props)
	if err != nil {
		return custom{}, err
	}
	validator, _, err := validation.NewSchemaValidator(&props)
	return custom{s, validator}, err
}

// checkCustom does what the API server does with fieldValidation=Strict, but for
// rules in CEL and webhooks: types, formats, choices, required and unknown fields.
func checkCustom(o object) error {
	c, err := schemaOf(o.kind)
	if err != nil {
		return err
	}
	body, err := yaml.YAMLToJSONStrict(o.text)
	if err != nil {
		return fmt.Errorf("%s: %w", o, err)
	}
	var value map[string]any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	if found := validation.ValidateCustomResource(field.NewPath(""), value, c.validator); len(found) > 0 {
		return fmt.Errorf("%s: %w", o, found.ToAggregate())
	}
	unknown := pruning.PruneWithOptions(value, c.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("%s: there is no field %s", o, strings.Join(unknown, ", "))
	}
	return nil
}
