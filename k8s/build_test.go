package k8s

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var update = flag.Bool("update", false, "write deployment.yaml and alerts.yaml anew")

// build is what kubectl kustomize prints for a directory.
func build(t *testing.T, dir string) []byte {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize build %s: %v", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// overlays are the ways to deploy that the documents tell of.
var overlays = []string{"hot-reload", "immutable", "git-sync", "try-out"}

// sets are components that go together.
var sets = [][]string{
	{"prometheus-operator"},
	{"prometheus-operator", "grafana"},
	{"prometheus-operator", "in-flight-keda"},
	{"prometheus-operator", "in-flight-adapter"},
	{"in-flight-adapter", "try-out"},
}

// builds are all there are, by name: every kustomization of this directory, and
// every overlay with every set of components.
func builds(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, dir := range kustomizations(t, "Kustomization") {
		all[dir] = build(t, dir)
	}
	for _, overlay := range overlays {
		for _, set := range sets {
			if overlay == "try-out" && slices.Contains(set, "try-out") {
				continue
			}
			all["overlays/"+overlay+" with "+strings.Join(set, ", ")] = buildWith(t, overlay, set)
		}
	}
	return all
}

// buildWith builds an overlay as its user would extend it: from a directory of their own.
func buildWith(t *testing.T, overlay string, components []string) []byte {
	t.Helper()
	text := fmt.Sprintf("resources: [%s/overlays/%s]\ncomponents:\n", documentedPath, overlay)
	for _, c := range components {
		text += fmt.Sprintf("  - %s/components/%s\n", documentedPath, c)
	}
	return buildText(t, text)
}

// documentedPath is where documents find this directory.
const documentedPath = "../go-loadbalancer/k8s"

// buildText builds a kustomization of its user's, as documents have it.
func buildText(t *testing.T, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	if here, err = filepath.Rel(dir, here); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, documentedPath, here)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return build(t, dir)
}

// kustomizations finds the directories with a kustomization of a kind.
func kustomizations(t *testing.T, kind string) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "kustomization.yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("\nkind: "+kind+"\n")) {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	return dirs
}

// Nothing in this directory is left out of what is tested.
func TestEverythingIsBuilt(t *testing.T) {
	var have []string
	for _, set := range sets {
		have = append(have, set...)
	}
	for _, dir := range kustomizations(t, "Component") {
		if !slices.Contains(have, filepath.Base(dir)) {
			t.Errorf("%s is in no set of components", dir)
		}
	}
	for _, dir := range kustomizations(t, "Kustomization") {
		if name, ok := strings.CutPrefix(dir, "overlays/"); ok && !slices.Contains(overlays, name) {
			t.Errorf("%s is not among the overlays", dir)
		}
	}
	// A file that no kustomization names would never be applied.
	examples := []string{"argocd/", "flux/", "deployment.yaml", "alerts.yaml", "testdata/", "components/in-flight-adapter/rules.yaml"}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || filepath.Base(path) == "kustomization.yaml" ||
			slices.ContainsFunc(examples, func(e string) bool { return strings.HasPrefix(path, e) }) {
			return err
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "kustomization.yaml"))
		if err != nil || !bytes.Contains(text, []byte(filepath.Base(path))) {
			t.Errorf("%s is in no kustomization (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const deploymentHead = `# Generated from k8s/overlays/try-out: change that, then "cd k8s && go test -count=1 . -update".
#
# Everything for a first try on a cluster that has nothing: the load balancer, Redis, and servers to balance.
#
#   kubectl apply -f k8s/deployment.yaml
#
# The image go-loadbalancer:enterprise must be on the nodes; docs/kubernetes.md says how it gets there.
`

// The file that is applied alone is what its overlay builds.
func TestDeploymentIsGenerated(t *testing.T) {
	want := append([]byte(deploymentHead), build(t, "overlays/try-out")...)
	if *update {
		if err := os.WriteFile("deployment.yaml", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("deployment.yaml is not what overlays/try-out builds: cd k8s && go test -count=1 . -update")
	}
}
