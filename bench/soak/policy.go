package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"
)

// What the policy bounds clients by, and what the kernel adds: it keeps a
// connection back for a while until something comes (TCP_DEFER_ACCEPT).
const (
	headTimeout  = 3 * time.Second
	bodyTimeout  = 3 * time.Second
	writeTimeout = 3 * time.Second
	idleTimeout  = 5 * time.Second
	deferAccept  = 2 * time.Second
)

//go:embed testdata/policy.yaml.tmpl
var policyTemplate string

// policyFile is the balancer's policy, of which there is always another
// generation: endpoints come and go, weights and thresholds change.
type policyFile struct {
	file     string
	listen   string
	backends backends
	huge     string // address: see [hostileHello]
	number   int    // of the generation
}

// write puts the next generation in place at once, so that a watcher never reads
// half of it.
func (p *policyFile) write() error {
	p.number++
	var text strings.Builder
	err := template.Must(template.New("").Parse(policyTemplate)).Execute(&text, struct {
		backends
		Version                 string
		Odd                     bool
		Listen, Huge            string
		Idle, Head, Body, Write time.Duration
	}{p.backends, fmt.Sprint(p.number), p.number%2 == 1, p.listen, p.huge, idleTimeout, headTimeout, bodyTimeout, writeTimeout})
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file+".new", []byte(text.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(p.file+".new", p.file)
}
