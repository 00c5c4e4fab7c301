package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go-loadbalancer/bench/server"
)

// reload measures how long `POST /-/reload` takes on a running balancer, in
// seconds: from the call to its answer, reading and compiling the policy
// included. Every reload gives all endpoints another weight and nine pools in ten
// another name, and so new endpoints; the new version must be served when the
// call returns.
func (b *bench) reload(ctx context.Context, c candidate) ([]float64, error) {
	p, err := b.start(ctx, c, row{})
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var took []float64
	// The first reload goes from one pool to all of them and is not counted.
	for i := range b.rounds + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		version := fmt.Sprintf("reload-%d", i)
		if err := p.writeLargePolicy(version, i); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := call(ctx, client, http.MethodPost, "http://"+p.instance.Admin+"/-/reload", nil); err != nil {
			return nil, err
		}
		elapsed := time.Since(start).Seconds()
		var status struct {
			Policy struct{ Version string }
		}
		if err := call(ctx, client, http.MethodGet, "http://"+p.instance.Admin+"/api/v1/status", &status); err != nil {
			return nil, err
		}
		if status.Policy.Version != version {
			return nil, fmt.Errorf("%s: the reload was answered, but the version is %q, not %q", c.name, status.Policy.Version, version)
		}
		if err := server.Get(ctx, client, "http://"+p.instance.Listen+"/small"); err != nil {
			return nil, fmt.Errorf("%s: after a reload: %w", c.name, err)
		}
		if i > 0 {
			took = append(took, elapsed)
		}
		b.progress("reload: %d of %d", i, b.rounds)
	}
	return took, nil
}

// writeLargePolicy replaces the policy by one with many endpoints, all but the
// last pool's never asked.
func (p *process) writeLargePolicy(version string, generation int) error {
	var s strings.Builder
	pool := func(i int) string {
		if i%10 == 0 {
			return fmt.Sprintf("p%d", i)
		}
		return fmt.Sprintf("p%d-%d", i, generation%2)
	}
	fmt.Fprintf(&s, "apiVersion: lb/v1\nkind: Policy\nmetadata: {name: bench, version: %q}\nspec:\n", version)
	fmt.Fprintf(&s, "  listeners:\n    - {name: http, address: %q}\n  routes:\n", p.instance.Listen)
	for i := range reloadPools {
		fmt.Fprintf(&s, "    - {name: r%d, matches: [{path: {type: PathPrefix, value: /p%d}}], backendRefs: [{pool: %s}]}\n", i, i, pool(i))
	}
	s.WriteString("    - {name: rest, backendRefs: [{pool: backend}]}\n  pools:\n")
	for i := range reloadPools {
		fmt.Fprintf(&s, "    - name: %s\n      endpoints:\n", pool(i))
		for k := range reloadEndpoints {
			fmt.Fprintf(&s, "        - {address: \"10.%d.%d.%d:80\", weight: %d}\n", i/250, i%250, k+1, 1+generation%2)
		}
	}
	fmt.Fprintf(&s, "    - {name: backend, endpoints: [{address: %q}]}\n", p.instance.Backend)
	return p.writePolicy(s.String())
}

// writePolicy replaces the policy.
func (p *process) writePolicy(text string) error {
	// Renamed into place, so that a watcher never reads half of it.
	file := filepath.Join(p.instance.Dir, p.candidate.configAs)
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// call makes a request that must be answered 2xx and, if v is not nil, decodes
// the JSON of the answer.
func call(ctx context.Context, client *http.Client, method, url string, v any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, url, response.Status, body[max(0, len(body)-500):])
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}
