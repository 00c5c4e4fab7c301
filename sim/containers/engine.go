//go:build !image

package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
)

// Labels of all that is made here.
const (
	labelRun   = "go-loadbalancer.sim.run"   // of one run
	labelOwner = "go-loadbalancer.sim.owner" // HOST/PID of the process
)

// atOnce is how many containers are made, started or removed at a time in this process.
const atOnce = 8

var slots = make(chan struct{}, atOnce)

// engine is the Docker Engine.
type engine struct {
	options  Options
	provider *testcontainers.DockerProvider
	client   client.APIClient
}

// settle has the library do as this package wants, whatever the environment says: it
// would dial the machine's default gateway, and start a container of its own that needs
// an image and outlives the run.
func settle() {
	os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	tclog.SetDefault(tclog.NewNoopLogger())
}

// answering is how long the engine may take to answer whether it is there.
const answering = 10 * time.Second

// open finds the engine and the images, and clears away what processes that are no more
// have left.
func open(ctx context.Context, o Options) (*engine, error) {
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.Redis == "" {
		o.Redis = DefaultRedis
	}
	e, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	e.options = o
	if err := e.has(ctx, o.Image, "build it: docker build -t "+o.Image+" ."); err != nil {
		e.close()
		return nil, err
	}
	e.sweep(ctx)
	return e, nil
}

// Check says whether there is a Docker Engine that answers.
func Check(ctx context.Context) error {
	e, err := dial(ctx)
	if err == nil {
		e.close()
	}
	return err
}

func dial(ctx context.Context) (e *engine, err error) {
	settle()
	defer func() {
		if p := recover(); p != nil { // the library's way of saying that there is none
			err = fmt.Errorf("there is no Docker Engine to play on: %v", p)
		}
	}()
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(tclog.NewNoopLogger()))
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, answering)
		defer cancel()
		e = &engine{provider: provider, client: provider.Client()}
		_, err = e.client.Ping(ctx, client.PingOptions{})
		// The library goes on to another one if that does not answer.
		if wanted := os.Getenv("DOCKER_HOST"); err == nil && wanted != "" && e.client.DaemonHost() != wanted {
			e.close()
			err = fmt.Errorf("that of DOCKER_HOST, %s, does not answer", wanted)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("there is no Docker Engine to play on: %w: start it, or set DOCKER_HOST; without one there are the stages virtual and local", err)
	}
	return e, nil
}

func (e *engine) close() { e.provider.Close() }

// has says whether an image is there, and if not what to do.
func (e *engine) has(ctx context.Context, image, remedy string) error {
	_, err := e.client.ImageInspect(ctx, image)
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("there is no image %s: %s", image, remedy)
	}
	return err
}

// explained says what to do about what an engine or this machine says.
func explained(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk of %s is full: %w: free some of it, or set TMPDIR to a directory elsewhere", os.TempDir(), err)
	case strings.Contains(text, "no space left on device"):
		return fmt.Errorf("the disk of Docker is full: %w: docker system df says of what; docker system prune frees what nobody uses", err)
	case strings.Contains(text, "Pool overlaps"), strings.Contains(text, "networks have overlapping"):
		return fmt.Errorf("there are no addresses for another network of Docker: %w: docker network prune removes those that nobody uses", err)
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		return fmt.Errorf("somebody took a port of 127.0.0.1 just before it was used: %w: run it again", err)
	}
	return err
}

// spec is a container to be made.
type spec struct {
	run, name string // the network is called as the run is
	image     string
	command   []string
	env       map[string]string
	address   netip.Addr

	ports    map[uint16]uint16 // of 127.0.0.1, by those of the container
	binds    []string
	cuttable bool // its packets may be dropped
}

func owner() string {
	host, _ := os.Hostname()
	return host + "/" + strconv.Itoa(os.Getpid())
}

// labels are those of a run's containers and networks, with the library's own, by which
// others sweep.
func labels(run string) map[string]string {
	all := map[string]string{labelRun: run, labelOwner: owner()}
	testcontainers.AddGenericLabels(all)
	return all
}

// making is a context to make something by that is to be removed: it does not end with
// the run's. An engine goes on making what nobody waits for any more, and who looks for
// what is left would not find it yet.
func making(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), doing)
}

// create makes a container, which does not run yet.
func (e *engine) create(ctx context.Context, s spec) (*testcontainers.DockerContainer, error) {
	slots <- struct{}{}
	defer func() { <-slots }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := making(ctx)
	defer cancel()
	req := testcontainers.ContainerRequest{
		Image: s.image, Cmd: s.command, Env: s.env, Labels: labels(s.run), Name: s.run + "-" + s.name,
		Networks: []string{s.run},
		HostConfigModifier: func(h *container.HostConfig) {
			h.Binds = s.binds
			if s.cuttable {
				h.CapAdd = []string{"NET_ADMIN"} // of root alone, which its process is not
			}
			h.PortBindings = network.PortMap{}
			for inside, outside := range s.ports {
				h.PortBindings[network.MustParsePort(fmt.Sprintf("%d/tcp", inside))] = []network.PortBinding{
					{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(int(outside))},
				}
			}
			h.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m"}}
		},
		ConfigModifier: func(c *container.Config) {
			c.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}} // they are asked often enough
		},
		EndpointSettingsModifier: func(all map[string]*network.EndpointSettings) {
			for _, one := range all {
				one.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: s.address}
			}
		},
	}
	for inside := range s.ports {
		req.ExposedPorts = append(req.ExposedPorts, fmt.Sprintf("%d/tcp", inside))
	}
	c, err := e.provider.CreateContainer(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("the container of %s cannot be made: %w", s.name, err)
	}
	return c.(*testcontainers.DockerContainer), nil
}

func (e *engine) start(ctx context.Context, id string) error {
	slots <- struct{}{}
	defer func() { <-slots }()
	_, err := e.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return err
}

func (e *engine) kill(ctx context.Context, id, signal string) error {
	_, err := e.client.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
	return err
}

// exited waits until a container does not run any more, and returns its exit status.
func (e *engine) exited(ctx context.Context, id string) (int, error) {
	wait := e.client.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case r := <-wait.Result:
		if r.Error != nil {
			return 0, errors.New(r.Error.Message)
		}
		return int(r.StatusCode), nil
	case err := <-wait.Error:
		return 0, err
	}
}

// exec has a command be done in a container, as root there.
func (g *ground) exec(id string, words []string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), doing)
	defer cancel()
	made, err := g.client.ExecCreate(ctx, id, client.ExecCreateOptions{
		User: "0:0", Cmd: words, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return err
	}
	attached, err := g.client.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return err
	}
	defer attached.Close()
	var said strings.Builder
	if _, err := stdcopy.StdCopy(&said, &said, attached.Reader); err != nil {
		return err
	}
	state, err := g.client.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
	if err == nil && state.ExitCode != 0 {
		err = fmt.Errorf("%s: status %d: %s", strings.Join(words, " "), state.ExitCode, strings.TrimSpace(said.String()))
	}
	return err
}

// mostLog is how much of a container's log is read.
const mostLog = 16 << 20

// logs are a container's standard error.
func (e *engine) logs(ctx context.Context, id, since string) (string, error) {
	r, err := e.client.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStderr: true, Since: since})
	if err != nil {
		return "", err
	}
	defer r.Close()
	var out strings.Builder
	_, err = stdcopy.StdCopy(io.Discard, &out, io.LimitReader(r, mostLog))
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return out.String(), err
}

// makeNetwork makes a run's network, which is called as the run is.
func (e *engine) makeNetwork(ctx context.Context, run string, subnet netip.Prefix) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := making(ctx)
	defer cancel()
	_, err := e.client.NetworkCreate(ctx, run, client.NetworkCreateOptions{
		Driver: "bridge", Labels: labels(run), IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet}}},
	})
	return err
}

// removing is how long all that has a label may take to be removed.
const removing = 60 * time.Second

// remove removes all that has a label, and says what it could not.
func (e *engine) remove(label string) (left []string) {
	ctx, cancel := context.WithTimeout(context.Background(), removing)
	defer cancel()
	filters := make(client.Filters).Add("label", label)
	containers, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return []string{"what is left cannot be found: " + err.Error()}
	}
	gone := make(chan string)
	for _, c := range containers.Items {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			_, err := e.client.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
			if err == nil || errdefs.IsNotFound(err) {
				gone <- ""
			} else {
				gone <- fmt.Sprintf("container %s: %v", strings.Join(c.Names, " "), err)
			}
		}()
	}
	for range containers.Items {
		if one := <-gone; one != "" {
			left = append(left, one)
		}
	}
	networks, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	if err != nil {
		return append(left, "networks that are left cannot be found: "+err.Error())
	}
	for _, n := range networks.Items {
		go func() {
			_, err := e.client.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
			if err == nil || errdefs.IsNotFound(err) {
				gone <- ""
			} else {
				gone <- fmt.Sprintf("network %s: %v", n.Name, err)
			}
		}()
	}
	for range networks.Items {
		if one := <-gone; one != "" {
			left = append(left, one)
		}
	}
	return left
}

// sweep removes what was left by processes of this machine that are no more.
func (e *engine) sweep(ctx context.Context) {
	filters := make(client.Filters).Add("label", labelOwner)
	owners := map[string]bool{}
	if all, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters}); err == nil {
		for _, c := range all.Items {
			owners[c.Labels[labelOwner]] = true
		}
	}
	if all, err := e.client.NetworkList(ctx, client.NetworkListOptions{Filters: filters}); err == nil {
		for _, n := range all.Items {
			owners[n.Labels[labelOwner]] = true
		}
	}
	host, _ := os.Hostname()
	for o := range owners {
		at, number, _ := strings.Cut(o, "/")
		pid, err := strconv.Atoi(number)
		if err == nil && at == host && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			e.remove(labelOwner + "=" + o)
		}
	}
}

// Ports that are given: systems take those of outgoing connections from above them (RFC
// 6056, section 3.2, and what Linux does), and would take one between its choice and its
// use.
const (
	firstPort = 16384
	mostPorts = 16000
)

// freePort is a port of 127.0.0.1 that nobody has now, nor was given another time.
func freePort(given map[uint16]bool) (uint16, error) {
	for range 1000 {
		port := firstPort + uint16(rand.IntN(mostPorts))
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp4", local(port))
		if err != nil {
			continue
		}
		l.Close()
		given[port] = true
		return port, nil
	}
	return 0, errors.New("no port of 127.0.0.1 is free")
}
