package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// candidate is one proxy to measure. Text in configuration, arguments and
// environment is a text/template over [instance].
type candidate struct {
	name string
	// build is a Go package built into the binary; else binary is looked up.
	build  string
	binary string
	// config, in testdata, becomes the file configAs of the instance's
	// directory.
	config   string
	configAs string
	args     []string
	env      []string
	// stdoutIsLog: the access log is standard output, redirected to the log.
	stdoutIsLog bool
	// version prints the version in its first line.
	version []string
	// product marks what the targets are for; reference is what everything is
	// relative to.
	product, reference bool
	// variant of the product: only in the rows that name it.
	variant bool
	// quiet: it writes no access log, in rows neither that have one. traces: it exports
	// spans, and some must come to the collector.
	quiet, traces bool
	// sessions is how the candidate keeps a client at one endpoint; empty: it does
	// not. One that does is only in rows of sessions, and without is the name of the
	// same that does not: what it is relative to there.
	sessions, without string
}

// candidates are all that are measured, the reference among them.
func candidates() []candidate {
	return []candidate{
		product(),
		keepingSessions("lb-redis", "Redis", "--redis", "redis://{{.Redis}}", "--cookie-keys", "{{.Keys}}"),
		keepingSessions("lb-cookie", "Cookie", "--cookie-keys", "{{.Keys}}"),
		{
			name:     "plain",
			build:    "go-loadbalancer/bench/plain",
			config:   "plain.yaml.tmpl",
			configAs: "policies/policy.yaml",
			args:     []string{"-policies", "{{.Dir}}/policies", "-access-log", "{{.Log}}"},
			env:      []string{"GOMAXPROCS=1"},
			version:  []string{"-version"},
			variant:  true,
		},
		{
			name:     "silent",
			build:    "go-loadbalancer/bench/plain",
			config:   "policy.yaml.tmpl",
			configAs: "policies/policy.yaml",
			args:     []string{"-policies", "{{.Dir}}/policies"},
			env:      []string{"GOMAXPROCS=1"},
			version:  []string{"-version"},
			variant:  true,
			quiet:    true,
		},
		observed(),
		haproxy("haproxy", ""),
		haproxy("haproxy-cookie", "insert"),
		{
			name:     "nginx",
			binary:   "nginx",
			config:   "nginx.conf.tmpl",
			configAs: "nginx.conf",
			args:     []string{"-p", "{{.Dir}}", "-c", "{{.Dir}}/nginx.conf"},
			version:  []string{"-v"},
		},
	}
}

// product is what the benchmark is about.
func product() candidate {
	return candidate{
		name:     "lb",
		build:    "go-loadbalancer/lb",
		config:   "policy.yaml.tmpl",
		configAs: "policies/policy.yaml",
		args: []string{"run", "--policies", "{{.Dir}}/policies", "--admin", "{{.Admin}}",
			"--access-log", "{{or .Log `off`}}"},
		env:     []string{"GOMAXPROCS=1"},
		version: []string{"version"},
		product: true,
	}
}

// observed is the product with one in a hundred requests traced.
func observed() candidate {
	c := product()
	c.name, c.variant, c.traces = "lb-traces", true, true
	c.env = append(c.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://{{.Collector}}", "OTEL_TRACES_SAMPLER=parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG=0.01", "OTEL_BSP_SCHEDULE_DELAY=1000")
	return c
}

// keepingSessions is the product with sessions in a store.
func keepingSessions(name, store string, args ...string) candidate {
	c := product()
	c.without, c.name, c.sessions = c.name, name, store
	c.args = append(c.args, args...)
	return c
}

// haproxy is the peer that everything is relative to, or the same with sessions.
func haproxy(name, sessions string) candidate {
	c := candidate{
		name:        name,
		binary:      "haproxy",
		config:      "haproxy.cfg.tmpl",
		configAs:    "haproxy.cfg",
		args:        []string{"-db", "-f", "{{.Dir}}/haproxy.cfg"},
		stdoutIsLog: true,
		version:     []string{"-v"},
		sessions:    sessions,
	}
	if c.reference = sessions == ""; !c.reference {
		c.without = "haproxy"
	}
	return c
}

// instance is what a candidate's templates may use.
type instance struct {
	Dir     string // of its own, for its files
	Listen  string // address to serve traffic on
	Backend string // address of the backend
	Admin   string // a free address, for those that need one
	Log     string // access log; empty: off
	Crowd   int    // connections from one address that are to be taken; 0: as by default
	Bulk    bool   // tuned for large bodies, at the cost of small requests
	// Collector is the address that spans are exported to.
	Collector string
	// Sessions are as in candidate; Redis is the address of the server they are kept
	// in, and Keys the file of the keys that seal their tickets.
	Sessions, Redis, Keys string
}

// find looks a binary up, also where Debian keeps servers that are not on
// everybody's PATH.
func find(binary string) (string, error) {
	path, err := exec.LookPath(binary)
	if err == nil {
		return filepath.Abs(path)
	}
	if path := filepath.Join("/usr/sbin", binary); exec.Command(path, "-v").Run() == nil {
		return path, nil
	}
	return "", err
}

// versionOf is the first line a candidate's binary says about itself.
func (c candidate) versionOf(binary string) string {
	text, err := exec.Command(binary, c.version...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if err != nil && line == "" {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return line
}
