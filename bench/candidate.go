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
}

// candidates are all that are measured, the reference among them.
func candidates() []candidate {
	return []candidate{
		{
			name:     "lb",
			build:    "go-loadbalancer/lb",
			config:   "policy.yaml.tmpl",
			configAs: "policies/policy.yaml",
			args: []string{"run", "--policies", "{{.Dir}}/policies", "--admin", "{{.Admin}}",
				"--access-log", "{{or .Log `off`}}"},
			env:     []string{"GOMAXPROCS=1"},
			version: []string{"version"},
			product: true,
		},
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
			name:        "haproxy",
			binary:      "haproxy",
			config:      "haproxy.cfg.tmpl",
			configAs:    "haproxy.cfg",
			args:        []string{"-db", "-f", "{{.Dir}}/haproxy.cfg"},
			stdoutIsLog: true,
			version:     []string{"-v"},
			reference:   true,
		},
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

// instance is what a candidate's templates may use.
type instance struct {
	Dir     string // of its own, for its files
	Listen  string // address to serve traffic on
	Backend string // address of the backend
	Admin   string // a free address, for those that need one
	Log     string // access log; empty: off
	Bulk    bool   // tuned for large bodies, at the cost of small requests
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
