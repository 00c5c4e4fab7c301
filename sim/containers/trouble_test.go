//go:build !image

package containers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const troubled = `apiVersion: sim/v1
kind: Scenario
metadata: {name: short}
spec:
  duration: 1s
  policy:
    apiVersion: lb/v1
    kind: Policy
    metadata: {name: shop, version: "1"}
    spec:
      listeners: [{name: http, address: ":8000"}]
      routes: [{name: all, backendRefs: [{pool: web}]}]
      pools: [{name: web, endpoints: [{address: "10.0.0.1:80"}]}]
  load: [{rate: 50, requests: [{get: /}]}]
  expect: [{that: success() == 1.0}]
`

// program is sim, with a scenario, and a directory for what it leaves.
type program struct{ sim, scenario, temp string }

func newProgram(t *testing.T) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{filepath.Join(dir, "sim"), filepath.Join(dir, "short.yaml"), filepath.Join(dir, "temp")}
	err := errors.Join(os.WriteFile(p.scenario, []byte(troubled), 0o644), os.Mkdir(p.temp, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.sim, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return p
}

// parity is sim parity, after a prefix.
func (p *program) parity(ctx context.Context, host string, prefix ...string) *exec.Cmd {
	words := append(prefix, p.sim, "parity", p.scenario)
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	// HOME, for the library's own settings are none of this test's.
	c.Env = append(os.Environ(), "DOCKER_HOST="+host, "TMPDIR="+p.temp, "HOME="+p.temp)
	c.WaitDelay = 10 * time.Second
	return c
}

func status(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		return -1
	}
	return 0
}

// nothingLeft is of an engine, and of temporary files.
func (p *program) nothingLeft(t *testing.T, f *fakeEngine) {
	t.Helper()
	// The process that clears away is waited for by the one that plays.
	if left := f.left(); len(left) > 0 {
		t.Errorf("left in the engine: %v", left)
	}
	if left, err := filepath.Glob(filepath.Join(p.temp, "sim-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What an engine has to complain of is said, with what to do, and what was made is removed.
func TestTrouble(t *testing.T) {
	p := newProgram(t)
	const full = "write /var/lib/docker/tmp/x: no space left on device"
	for _, tt := range []struct {
		name, fails, says string
		want              string
		makes             bool // something before
	}{
		{"no image", "GET /images/.*/json", "No such image: go-loadbalancer:enterprise",
			"there is no image go-loadbalancer:enterprise: build it: docker build", false},
		{"no room for a network", "POST /networks/create", full, "the disk of Docker is full", false},
		{"no room for a container", "POST /containers/create", full, "docker system df", true},
		{"no room at the start", "POST /containers/[0-9a-f]+/start", full, "docker system prune", true},
		{"a port is taken", "POST /containers/[0-9a-f]+/start",
			"driver failed programming external connectivity: Error starting userland proxy: listen tcp4 127.0.0.1:20000: bind: address already in use",
			"somebody took a port of 127.0.0.1 just before it was used", true},
		{"no networks any more", "POST /networks/create",
			"Pool overlaps with other one on this address space", "docker network prune", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeEngine(t, &fakeEngine{fails: tt.fails, says: tt.says})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			out, err := p.parity(ctx, f.host).CombinedOutput()
			if status(err) != 1 || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v: %s\nwant %q", err, out, tt.want)
			}
			if (f.made() > 0) != tt.makes {
				t.Errorf("%d were made", f.made())
			}
			p.nothingLeft(t, f)
		})
	}
}

func TestNoEngine(t *testing.T) {
	p := newProgram(t)
	out, err := p.parity(t.Context(), "unix://"+filepath.Join(p.temp, "none.sock")).CombinedOutput()
	if status(err) != 1 || !strings.Contains(string(out), "there is no Docker Engine to play on") || !strings.Contains(string(out), "set DOCKER_HOST") {
		t.Errorf("%v: %s", err, out)
	}
}

// Ctrl-C and SIGTERM end it, by exit status 130, and what was made is removed: also what
// the engine goes on to make when it is not waited for.
func TestInterrupted(t *testing.T) {
	p := newProgram(t)
	for _, tt := range []struct {
		signal         syscall.Signal
		when           string
		hangs, lingers bool
	}{
		{syscall.SIGINT, "POST /containers/[0-9a-f]+/start", true, false},
		{syscall.SIGTERM, "POST /containers/[0-9a-f]+/start", true, false},
		{syscall.SIGINT, "POST /networks/create", false, true},
		{syscall.SIGINT, "POST /containers/create", false, true},
	} {
		f := newFakeEngine(t, &fakeEngine{fails: tt.when, hangs: tt.hangs, lingers: tt.lingers})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := p.parity(ctx, f.host)
		var said strings.Builder
		c.Stdout, c.Stderr = &said, &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-f.reached:
		case <-ctx.Done():
		}
		c.Process.Signal(tt.signal)
		if err := c.Wait(); status(err) != 130 || !strings.Contains(said.String(), "interrupted") {
			t.Errorf("%v at %s: %v: %s", tt.signal, tt.when, err, said.String())
		}
		p.nothingLeft(t, f)
	}
}

// A full directory for temporary files is another disk than Docker's, with another remedy.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	p := newProgram(t)
	for name, options := range map[string]string{
		"no file":    "nr_inodes=1",
		"no content": "size=4k",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeEngine(t, new(fakeEngine))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			// In a mount namespace that ends with it.
			script := fmt.Sprintf(`mount -t tmpfs -o %s none "$TMPDIR" && { head -c 1M /dev/zero >"$TMPDIR/full" || :; } 2>/dev/null && "$@"; status=$?; echo "left: $(ls "$TMPDIR")"; exit $status`, options)
			out, err := p.parity(ctx, f.host, "unshare", "--mount", "sh", "-c", script, "sh").CombinedOutput()
			if status(err) != 1 || !strings.Contains(string(out), "the disk of "+p.temp+" is full") || !strings.Contains(string(out), "TMPDIR") {
				t.Errorf("%v: %s", err, out)
			}
			if strings.Contains(string(out), "docker system") || strings.Contains(string(out), "left: sim-") || !strings.Contains(string(out), "left: ") {
				t.Errorf("%s", out)
			}
			p.nothingLeft(t, f)
		})
	}
}
