package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/machine"
	"go-loadbalancer/bench/procfs"
)

// What is asked of the container image.
const (
	startTarget    = 150 * time.Millisecond
	restTarget     = 25 << 20 // bytes, of the working set
	idleTarget     = 120 << 20
	idleClients    = 10_000
	ownFiles       = 1024 // and more than the balancer keeps for itself
	imageRounds    = 5    // at most: memory varies little
	imageAddress   = "127.0.0.1:8000"
	imageAdmin     = "127.0.0.1:8080"
	imageName      = "go-loadbalancer:enterprise"
	containerLabel = "go-loadbalancer.bench"
)

// likeDeployment is how a container runs: as the Deployment in k8s/base has it.
var likeDeployment = []string{
	"--memory", "256m", "--memory-swap", "256m", "--cpus", "0.5", "--env", "GOMAXPROCS=1", "--env", "GOMEMLIMIT=230MiB",
	"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
}

// contained is what the container image did, by round.
type contained struct {
	// Seconds until readiness was first answered by 200, asked for again 0.5 ms after
	// each refusal: since Docker calls the container started, and since it was told to.
	started, told []float64
	rest          memory // a few seconds later, with no client
	before, idle  memory // with the policy of many clients, without them, and when they have made a request each
	clients       int    // as many as there may be: idleClients, or fewer
}

// memory is in bytes, by round.
type memory struct{ workingSet, resident []float64 }

func (m *memory) read(pid int) error {
	workingSet, err := procfs.ReadWorkingSet(pid)
	if err != nil {
		return err
	}
	resident, err := procfs.ReadRSS(pid)
	m.workingSet = append(m.workingSet, float64(workingSet))
	m.resident = append(m.resident, float64(resident))
	return err
}

// pod is a network that has a loopback alone, held by a container, as that of a pod is.
type pod struct {
	b      *bench
	holder string // the container
	pid    int    // of its process
}

// image measures the container image of this tree: how it starts and rests with the
// policy that comes along, whose endpoints are not there, and with many idle clients.
func (b *bench) image(ctx context.Context, rest, idle bool) (*contained, error) {
	if err := haveDocker(ctx); err != nil {
		return nil, err
	}
	b.progress("image: building it")
	if text, err := exec.CommandContext(ctx, "make", "-s", "image").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make image: %w\n%s", err, text[max(0, len(text)-2000):])
	}
	// All that carries the label goes, whatever happens; what a run left that was killed
	// too, for there is one at a time.
	b.removeContainers()
	defer b.removeContainers()
	p := &pod{b: b}
	var err error
	if p.holder, err = docker(ctx, "run", "--detach", "--label", containerLabel, "--network", "none", imageName,
		"sim", "backend", "--listen", "127.0.0.1:9999"); err != nil {
		return nil, err
	}
	if p.pid, err = pidOf(ctx, p.holder); err != nil {
		return nil, err
	}
	var c contained
	rounds := min(b.rounds, imageRounds)
	for round := range rounds {
		if rest {
			if err := p.rest(ctx, &c); err != nil {
				return nil, fmt.Errorf("at rest: %w", err)
			}
		}
		if idle {
			if err := p.idle(ctx, &c); err != nil {
				return nil, fmt.Errorf("with idle clients: %w", err)
			}
		}
		b.progress("image: round %d of %d", round+1, rounds)
	}
	return &c, nil
}

// haveDocker says what is missing.
func haveDocker(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can join a container's network: run it as root")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := docker(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("no Docker Engine answers: %w: .ci/install test starts one", err)
	}
	if _, err := exec.LookPath("nsenter"); err != nil {
		return fmt.Errorf("%w: it is of the package util-linux", err)
	}
	return nil
}

func (p *pod) rest(ctx context.Context, c *contained) error {
	name, err := p.create(ctx, nil, "lb", "run")
	if err != nil {
		return err
	}
	defer docker(context.WithoutCancel(ctx), "rm", "--force", name)
	pid, told, started, ready, err := p.start(ctx, name)
	if err != nil {
		return err
	}
	c.told = append(c.told, ready.Sub(told).Seconds())
	c.started = append(c.started, ready.Sub(started).Seconds())
	if err := p.b.rests(ctx); err != nil {
		return err
	}
	return c.rest.read(pid)
}

func (p *pod) idle(ctx context.Context, c *contained) error {
	prefix, _ := machine.Pin(loadCore)
	clients, err := load.Start(append(prefix, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", p.pid), "--"), loadCommand)
	if err != nil {
		return err
	}
	defer clients.Stop()
	dir, err := os.MkdirTemp(p.b.dir, "image-")
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	policy := process{candidate: candidate{config: "policy.yaml.tmpl", configAs: "policies/policy.yaml"},
		instance: instance{Dir: dir, Listen: imageAddress, Backend: fmt.Sprintf("127.0.0.1:%d", clients.Backend), Crowd: idleClients}}
	if err := policy.configure(); err != nil {
		return err
	}
	name, err := p.create(ctx, []string{"--volume", filepath.Join(dir, "policies") + ":/policies:ro"}, "lb", "run")
	if err != nil {
		return err
	}
	defer docker(context.WithoutCancel(ctx), "rm", "--force", name)
	pid, _, _, _, err := p.start(ctx, name)
	if err != nil {
		return err
	}
	if err := p.b.rests(ctx); err != nil {
		return err
	}
	if err := c.before.read(pid); err != nil {
		return err
	}
	files, err := procfs.ReadFileLimit(pid)
	if err != nil {
		return err
	}
	c.clients = min(idleClients, (files-ownFiles)/2)
	result, err := clients.Run(load.Slot{
		Spec: load.Spec{Connections: c.clients, Reply: "small"}, Target: imageAddress, Host: "bench.example.com", HoldOpen: true,
	})
	if err != nil {
		return err
	}
	if result.Errors > 0 || result.Requests != c.clients {
		return fmt.Errorf("%d of %d requests answered, %d errors, the first: %s", result.Requests, c.clients, result.Errors, result.Error)
	}
	if err := p.b.rests(ctx); err != nil {
		return err
	}
	if err := c.idle.read(pid); err != nil {
		return err
	}
	// They are there still: each has a descriptor, or the figure is worth nothing.
	if files, err = procfs.CountFiles(pid); err == nil && files < c.clients {
		err = fmt.Errorf("%d descriptors are open: not all clients are there", files)
	}
	return err
}

// rests leaves time for garbage to be collected and buffers to be given back.
func (b *bench) rests(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.settle):
		return nil
	}
}

// create makes a container in the pod's network.
func (p *pod) create(ctx context.Context, options []string, command ...string) (name string, err error) {
	args := append([]string{"create", "--label", containerLabel, "--network", "container:" + p.holder}, likeDeployment...)
	return docker(ctx, append(append(append(args, options...), imageName), command...)...)
}

// start starts a container, and returns its process, when Docker was told to, when
// Docker calls it started, and when it was ready.
func (p *pod) start(ctx context.Context, name string) (pid int, told, started, ready time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	type answer struct {
		at  time.Time
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		at, err := p.ready(ctx)
		answers <- answer{at, err}
	}()
	told = time.Now()
	if _, err = docker(ctx, "start", name); err != nil {
		cancel()
	}
	a := <-answers
	if err == nil && a.err != nil {
		said, _ := docker(context.WithoutCancel(ctx), "logs", "--tail", "20", name)
		err = fmt.Errorf("%w\n%s", a.err, said)
	}
	if err != nil {
		return 0, told, started, ready, err
	}
	text, err := docker(ctx, "inspect", "--format", "{{.State.StartedAt}}", name)
	if err == nil {
		started, err = time.Parse(time.RFC3339Nano, text)
	}
	if err == nil {
		pid, err = pidOf(ctx, name)
	}
	return pid, told, started, a.at, err
}

// ready asks from within the pod until readiness is answered by 200.
func (p *pod) ready(ctx context.Context) (time.Time, error) {
	// The thread has another network from here on, and so ends with this goroutine.
	runtime.LockOSThread()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.pid))
	if err != nil {
		return time.Time{}, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return time.Time{}, fmt.Errorf("joining a container's network: %w", err)
	}
	for {
		err := askReady(ctx)
		if err == nil {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("it did not get ready: %w", err)
		case <-time.After(500 * time.Microsecond):
		}
	}
}

// askReady asks once, on this very thread: net/http would dial on another.
func askReady(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", imageAdmin)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := fmt.Fprintf(conn, "GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", imageAdmin); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func (b *bench) removeContainers() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := docker(ctx, "ps", "--all", "--quiet", "--filter", "label="+containerLabel)
	if ids := strings.Fields(all); err == nil && len(ids) > 0 {
		_, err = docker(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	}
	if err != nil {
		b.progress("containers with the label %s may be left: %v", containerLabel, err)
	}
}

func pidOf(ctx context.Context, container string) (int, error) {
	text, err := docker(ctx, "inspect", "--format", "{{.State.Pid}}", container)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(text)
	if err == nil && pid == 0 {
		err = fmt.Errorf("container %s has ended", container)
	}
	return pid, err
}

func docker(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// image adds the table of the container image.
func (r *report) image(c *contained, err error) {
	if err != nil {
		r.invalid = true
		r.note("**NOT MEASURED: the container image:** %v", err)
		return
	}
	r.contained.WriteString("| of the container image | median (IQR) | slowest or largest | target |\n|---|---:|---:|---|\n")
	line := func(what, unit string, sample []float64, factor, target float64) {
		if len(sample) == 0 {
			return
		}
		out, most := make([]float64, len(sample)), 0.0
		for i, v := range sample {
			out[i] = v * factor
			most = math.Max(most, out[i])
		}
		q, verdict := summarize(out), ""
		if target > 0 {
			verdict = against(out, target, "%.0f "+unit)
		}
		fmt.Fprintf(&r.contained, "| %s | %.1f (%.1f) %s | %.1f %s | %s |\n", what, q.median, q.iqr(), unit, most, unit, verdict)
	}
	line("`rest`: ready, since its `State.StartedAt`", "ms", c.started, 1000, float64(startTarget.Milliseconds()))
	line("`rest`: ready, since `docker start` was called", "ms", c.told, 1000, 0)
	const mib = 1.0 / (1 << 20)
	line("`rest`: working set", "MiB", c.rest.workingSet, mib, restTarget>>20)
	line("`rest`: resident, the program's own pages included", "MiB", c.rest.resident, mib, 0)
	// Each client costs the same: where there may be fewer, those that lack are added.
	scaled := func(sample []float64) []float64 {
		out := make([]float64, len(sample))
		for i, v := range sample {
			out[i] = v + (v-c.before.workingSet[i])*float64(idleClients-c.clients)/float64(c.clients)
		}
		return out
	}
	of := fmt.Sprintf("`idle10k`, %d clients: ", c.clients)
	if c.clients == idleClients {
		line(of+"working set", "MiB", c.idle.workingSet, mib, idleTarget>>20)
	} else {
		line(of+"working set", "MiB", c.idle.workingSet, mib, 0)
		line("the same, by that for 10000", "MiB", scaled(c.idle.workingSet), mib, idleTarget>>20)
	}
	line(of+"resident", "MiB", c.idle.resident, mib, 0)
}

const imageText = `## Container image

%s
The image of this tree, as the Deployment runs it: 256 MiB, half a core, GOMAXPROCS=1, GOMEMLIMIT=230MiB, access log on.
In ` + "`rest`" + ` it has the policy that comes along, none of whose endpoints is there, and no client; it is ready when ` + "`/readyz`" + `
first answers 200 to who asks every half millisecond from within its network. Docker sets ` + "`StartedAt`" + ` when the runtime
has told it that the process was started. In ` + "`idle10k`" + ` connections are kept that have had a request each: 10,000, or as many as
half of the descriptors that containers get here. Memory is read three seconds later. The working set is what Kubernetes
holds against the limit: what is charged to the control group, less file pages that were not used lately.

`
