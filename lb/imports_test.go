package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "go-loadbalancer/"

// arrows is the import graph: what each package may import of this module. An
// arrow that is not here is forbidden; why gives the reasons people ask for.
var arrows = map[string][]string{
	// Leaves.
	"lb/event":     {},
	"lb/schema":    {},
	"lb/wire":      {},
	"lb/breaker":   {},
	"lb/ratelimit": {},
	"lb/socket":    {},

	"lb/policy":            {"lb/schema"},
	"lb/schema/schematest": {},

	"lb/session":             {"lb/breaker", "lb/event"},
	"lb/session/redisstore":  {"lb/session"},
	"lb/session/redistest":   {},
	"lb/session/sessiontest": {"lb/session"},

	"lb/explain":     {"lb/wire"},
	"lb/names":       {"lb/policy", "lb/event"},
	"lb/browsertest": {"lb/tooltest"},
	"lb/pipetest":    {},
	"lb/planttest":   {},
	"lb/tooltest":    {},
	"lb/upstream":    {"lb/wire"},
	"lb/pool":        {"lb/upstream", "lb/breaker", "lb/event", "lb/policy"},
	"lb/snapshot":    {"lb/pool", "lb/session", "lb/ratelimit", "lb/policy", "lb/event"},
	"lb/impact":      {"lb/snapshot", "lb/pool", "lb/breaker", "lb/policy", "lb/schema"},
	"lb/health":      {"lb/pool", "lb/upstream", "lb/wire", "lb/policy"},
	"lb/proxy":       {"lb/snapshot", "lb/session", "lb/pool", "lb/upstream", "lb/breaker", "lb/wire", "lb/event", "lb/explain"},
	"lb/server":      {"lb/proxy", "lb/wire", "lb/event"},
	"lb/reload":      {"lb/names", "lb/policy", "lb/snapshot", "lb/pool", "lb/event"},
	"lb/balancer":    {"lb/server", "lb/session", "lb/proxy", "lb/health", "lb/reload", "lb/names", "lb/snapshot", "lb/pool", "lb/breaker", "lb/policy", "lb/event", "lb/explain"},
	"lb/source":      {"lb/reload", "lb/policy"},
	"lb/telemetry":   {"lb/event"},
	"lb/admin":       {"lb/balancer", "lb/reload", "lb/telemetry", "lb/event", "lb/explain"},
	"lb/app":         {"lb/balancer", "lb/admin", "lb/telemetry", "lb/source", "lb/socket", "lb/session", "lb/session/redisstore", "lb/event", "lb/policy", "lb/reload"},
	"lb/command":     {"lb/app", "lb/balancer", "lb/explain", "lb/impact", "lb/policy", "lb/telemetry"},
	"lb":             {"lb/command"},

	"sim/backend":  {},
	"sim/history":  {},
	"sim/scenario": {"lb/policy", "lb/schema"},
	"sim/http1":    {},
	"sim/memnet":   {},
	"sim/model":    {"sim/http1", "sim/scenario"},
	"sim/load":     {"sim/history", "sim/http1", "sim/scenario"},
	"sim/stage":    {"sim/history", "sim/load", "sim/model", "sim/scenario", "lb/balancer", "lb/event", "lb/policy", "lb/reload", "lb/session", "lb/session/redisstore", "lb/telemetry"},
	"sim/virtual":  {"sim/history", "sim/memnet", "sim/stage"},
	"sim/endpoint": {"sim/model", "sim/scenario"},
	"sim/relay":    {},
	"sim/silence":  {},
	// Over HTTP only: of the balancer it knows how policies are read, and what events are.
	"sim/containers": {"sim/endpoint", "sim/history", "sim/model", "sim/relay", "sim/scenario", "sim/stage", "lb/event", "lb/policy"},
	"sim/parity":     {"sim/history", "sim/report"},
	"sim/local":      {"sim/history", "sim/scenario", "sim/stage", "lb/session/redistest"},
	"sim/expect":     {"sim/history", "sim/scenario", "lb/policy", "lb/event", "lb/schema"},
	"sim/report":     {"sim/expect", "sim/history", "sim/scenario", "lb/schema"},
	"sim/suite":      {"sim/expect", "sim/history", "sim/report", "sim/scenario", "sim/stage", "lb/policy", "lb/schema"},
	"sim/demo":       {"sim/backend", "lb/policy"},
	"sim":            {"sim/demo", "sim/backend", "sim/report", "sim/suite", "sim/history", "sim/stage", "sim/virtual", "sim/local", "sim/containers", "sim/parity", "sim/endpoint", "sim/model", "sim/relay", "sim/silence", "sim/scenario", "lb/app", "lb/command", "lb/policy", "lb/schema"},

	"bench/procfs":   {},
	"bench/syscalls": {"bench/load", "bench/server"},
	"bench/features": {"bench/load", "bench/machine", "bench/server", "lb/breaker", "lb/event", "lb/policy", "lb/pool", "lb/telemetry"},
	"bench/machine":  {},
	"bench/server":   {"bench/procfs"},
	"bench/child":    {},
	"bench/plain":    {"lb/balancer", "lb/socket", "lb/source", "lb/telemetry"},
	"bench/load":     {"bench/child", "bench/procfs"},
	"bench/soak":     {"bench/child", "bench/machine", "bench/procfs", "bench/server"},
	"bench":          {"bench/load", "bench/machine", "bench/server", "bench/procfs"},

	"conformance/corpus": {},
	"conformance":        {"conformance/corpus", "bench/server"},
}

// sole names the packages that alone may import something from outside, so that
// replacing it touches one place.
var sole = map[string][]string{
	"github.com/fsnotify/fsnotify":                {"lb/source"},
	"gopkg.in/yaml.v3":                            {"lb/schema", "lb/schema/schematest", "conformance/corpus"},
	"github.com/sony/gobreaker/v2":                {"lb/breaker"},
	"github.com/prometheus/client_golang":         {"lb/telemetry", "lb/admin"},
	"golang.org/x/crypto/chacha20poly1305":        {"lb/session"},
	"github.com/redis/go-redis/v9":                {"lb/session/redisstore"},
	"github.com/testcontainers/testcontainers-go": {"sim/containers"},
	"github.com/moby/moby":                        {"sim/containers"},
	"github.com/vishvananda/netlink":              {"sim/silence"},
	"github.com/alecthomas/kong":                  {"lb/command", "sim"},
	"github.com/alicebob/miniredis/v2":            {"sim/stage"},
	"cel.dev/cel-go":                              {"sim/expect"},
	"github.com/jstemmer/go-junit-report/v2":      {"sim/report"},
	"go.opentelemetry.io":                         {"lb/telemetry"},
	"github.com/chromedp":                         {"lb/browsertest"},
}

// forTests are packages that only tests import: they may say t.Errorf.
var forTests = []string{
	"lb/session/sessiontest", // the properties of every store, each a subtest of the store's own
	"lb/browsertest",         // pages in Chromium
	"lb/pipetest",            // a listener in memory
	"lb/planttest",           // programs with bugs planted in them
	"lb/tooltest",            // programs, without which tests are skipped or fail
}

// why gives the reason to whoever meets a forbidden arrow.
func why(from, to string) string {
	switch {
	case strings.HasPrefix(from, "lb") && (to == "testing" || strings.HasPrefix(to, "testing/")):
		return "production code does not link the testing package"
	case strings.HasPrefix(from, "lb") && strings.HasPrefix(to, "sim"):
		return "the simulator uses the balancer, never the other way round"
	case from == "sim/containers" && strings.HasPrefix(to, "lb/"):
		return "on containers the balancer is a process that is asked over HTTP"
	case from == "sim/virtual" && to == "sim/local", from == "sim/local" && to == "sim/virtual":
		return "stages know nothing of one another: what they share is in sim/stage"
	case from == "lb/balancer":
		return "the simulator constructs the balancer without files, admin or metrics: those are injected"
	case from == "lb/schema":
		return "a table of fields knows no language: policies and scenarios are made of it"
	case from == "lb/policy":
		return "a policy is values: it knows nothing of what is made of it"
	case from == "lb/event":
		return "everybody emits events, so the package can need nobody"
	case from == "lb/telemetry":
		return "telemetry consumes events; it must not reach into what emits them"
	case from == "lb/proxy" && to == "lb/server":
		return "the request path works on an Exchange and does not know which protocol carries it"
	case from == "lb/proxy" && to == "lb/policy":
		return "the request path works by the compiled snapshot, never by what was written"
	}
	return "no arrow of the import graph goes there; if it should, add it here and say why in docs/decisions"
}

func TestImportsRunOneWay(t *testing.T) {
	imports := importsOf(t, os.DirFS(".."), "lb", "sim", "bench", "conformance")
	for from, all := range imports {
		allowed, known := arrows[from]
		if !known {
			t.Errorf("%s is not in the import graph: add it to arrows", from)
			continue
		}
		for _, to := range all {
			switch inner, own := strings.CutPrefix(to, module); {
			case own && !slices.Contains(allowed, inner):
				t.Errorf("%s imports %s: %s", from, inner, why(from, inner))
			case strings.HasPrefix(from, "lb") && !slices.Contains(forTests, from) && (to == "testing" || strings.HasPrefix(to, "testing/")):
				t.Errorf("%s imports %s: %s", from, to, why(from, to))
			}
			for library, owners := range sole {
				if (to == library || strings.HasPrefix(to, library+"/")) && !slices.Contains(owners, from) {
					t.Errorf("%s imports %s, which only %s may", from, to, strings.Join(owners, " and "))
				}
			}
		}
	}
	for from := range arrows {
		if imports[from] == nil {
			t.Errorf("%s is in the import graph, but there is no such package", from)
		}
	}
}

// importsOf returns what each package under the roots imports, tests left out.
func importsOf(t *testing.T, fsys fs.FS, roots ...string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, root := range roots {
		err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			if d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				return err
			}
			dir := path.Dir(name)
			if imports[dir] == nil {
				imports[dir] = []string{}
			}
			for _, spec := range file.Imports {
				to, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				imports[dir] = append(imports[dir], to)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return imports
}
