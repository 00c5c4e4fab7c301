//go:build !image

package containers

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/sim/stage"
)

// balancer is a replica's container. It has one process after the other.
type balancer struct {
	g      *ground
	number int
	real   netip.Addr
	ports  map[uint16]uint16 // of 127.0.0.1, by those of the container
	admin  uint16            // the container's
	id     string
	queue  *queue
	policy *mount
	http   http.Client

	mu  sync.Mutex
	now *process // nil: it does not run
}

// process is one process of a balancer.
type process struct {
	*balancer
	since  string // of what it logs
	stream *stream
	series map[string]float64
	lacks  error // why there are none
	left   []string
	taken  bool          // by a replica of the run
	done   chan struct{} // closed when it has ended
}

// adminPort is where a balancer's admin address is, if none of its listeners is there.
const adminPort = 8080

// balancer is the one of a number; it is made if it is not there.
func (g *ground) balancer(number int) (*balancer, error) {
	b := &balancer{g: g, number: number, real: g.place(firstBalancer + number), admin: adminPort, ports: map[uint16]uint16{}, http: http.Client{Transport: &http.Transport{}}}
	for slices.Contains(g.listens, b.admin) {
		b.admin++
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, inside := range append(slices.Clone(g.listens), b.admin) {
		port, err := freePort(g.ports)
		if err != nil {
			return nil, err
		}
		b.ports[inside] = port
	}
	g.balances[number] = b
	return b, nil
}

func (g *ground) balancerOf(number int) *balancer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.balances[number]
}

func (b *balancer) name() string { return fmt.Sprintf("lb/%d", b.number) }

// make makes the container, with a policy.
func (b *balancer) make(ctx context.Context, files map[string][]byte) (err error) {
	g := b.g
	if b.policy, err = newMount(filepath.Join(g.dir, plain(b.name())), files); err != nil {
		return err
	}
	command := []string{
		"lb", "run", "--policies", "/given", "--admin", fmt.Sprintf(":%d", b.admin), "--state-dir", "/state", "--access-log", "off",
	}
	binds, env := []string{b.policy.dir + ":/given:ro"}, map[string]string{}
	if g.redis != nil {
		env["LB_REDIS_URL"], env["LB_REDIS_NAMESPACE"] = g.redis.URL(), g.redis.Namespace()
	} else {
		keys, err := g.keys()
		if err != nil {
			return err
		}
		binds, command = append(binds, keys+":/keys:ro"), append(command, "--cookie-keys", "/keys")
	}
	c, err := g.create(ctx, spec{
		run: g.id, name: plain(b.name()), image: g.options.Image, address: b.real,
		command: command, env: env, binds: binds, ports: b.ports,
	})
	if err != nil {
		return err
	}
	b.id, b.queue = c.ID, newQueue()
	return nil
}

// keys is the file with the key of session cookies that all replicas have.
func (g *ground) keys() (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := filepath.Join(g.dir, "keys")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	random := rand.New(rand.NewPCG(g.job.Scenario.Seed, 0x6b6579))
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(random.Uint32())
	}
	if err := os.Chmod(g.dir, 0o755); err != nil {
		return "", err
	}
	return name, os.WriteFile(name, []byte(hex.EncodeToString(key)+"\n"), 0o644)
}

// launch starts a process, and returns when it serves.
func (b *balancer) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing)
	defer cancel()
	p := &process{balancer: b, since: time.Now().UTC().Format(time.RFC3339Nano), done: make(chan struct{})}
	if err := b.g.start(ctx, b.id); err != nil {
		return fmt.Errorf("it does not start: %w", err)
	}
	p.stream = newStream(b)
	b.g.running.Go(p.stream.follow)
	for {
		err := p.ready(ctx)
		if err == nil {
			break
		}
		if s, e := b.g.client.ContainerInspect(ctx, b.id, client.ContainerInspectOptions{}); e == nil && !s.Container.State.Running {
			return fmt.Errorf("it ended at once, by status %d:\n%s", s.Container.State.ExitCode, p.said())
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w\n%s", err, p.said())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = p
	return nil
}

// process is the one that runs; nil: none does.
func (b *balancer) process() *process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// ready says whether it serves, and whether what it tells is heard.
func (p *process) ready(ctx context.Context) error {
	select {
	case <-p.stream.heard:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := p.ask(ctx, "/readyz")
	return err
}

// ask asks the admin address.
func (p *process) ask(ctx context.Context, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+local(p.ports[p.admin])+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", path, resp.Status, text)
	}
	return string(text), err
}

// said is what the process logged.
func (p *process) said() string {
	ctx, cancel := context.WithTimeout(context.Background(), doing)
	defer cancel()
	text, err := p.g.logs(ctx, p.id, p.since)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	return text
}

// Balancer starts a process: the one that Prepare has started already, a later one of a
// replica that has ended, or the first of a new replica.
func (g *ground) Balancer(ctx context.Context, number int, files map[string][]byte, tell *event.Listener) (stage.Balancer, error) {
	b := g.balancerOf(number)
	if b == nil {
		var err error
		if b, err = g.balancer(number); err != nil {
			return nil, err
		}
		if err := b.make(ctx, g.book.policy(files)); err != nil {
			return nil, err
		}
	}
	p := b.process()
	if p != nil && p.taken { // of an earlier life, which ends
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		p = nil
	}
	if p == nil {
		var err error
		b.queue.wait(func() { err = b.policy.swap(g.book.policy(files)) })
		if err != nil {
			return nil, err
		}
		if err := b.launch(ctx); err != nil {
			return nil, err
		}
	}
	p = b.process()
	p.taken = true
	p.stream.to(tell)
	return p, nil
}

// Apply swaps the policy as Kubernetes does for a ConfigMap.
func (p *process) Apply(files map[string][]byte) {
	given := p.g.book.policy(files)
	p.queue.do(func() {
		if err := p.policy.swap(given); err != nil {
			p.g.fail("%s: the policy cannot be given: %v", p.name(), explained(err))
		}
	})
}

// idling is how long a replica may take to have no request any more, before it is told
// to stop and what it counts from then on is not known.
const idling = 10 * time.Second

// Shutdown asks for the metrics once there is no request any more, and ends the process
// as SIGTERM does.
func (p *process) Shutdown(ctx context.Context) error {
	defer p.over()
	if err := p.scrape(ctx); err != nil {
		p.lacks = err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := p.g.kill(ctx, p.id, "TERM"); err != nil {
		return err
	}
	status, err := p.g.exited(ctx, p.id)
	if err != nil {
		return err
	}
	p.stream.wait(ctx)
	p.read()
	if status != 0 {
		return fmt.Errorf("it ended by status %d", status)
	}
	return nil
}

// over has the replica be startable again.
func (p *process) over() {
	p.http.CloseIdleConnections()
	p.mu.Lock()
	p.now = nil
	p.mu.Unlock()
	close(p.done)
}

// scrape asks for the metrics when nothing is under way.
func (p *process) scrape(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, idling)
	defer cancel()
	for {
		text, err := p.ask(ctx, "/metrics")
		if err != nil {
			return err
		}
		series := seriesOf(text, p.g.book)
		if p.left = underWay(series); len(p.left) == 0 {
			p.series = series
			return nil
		}
		select {
		case <-time.After(5 * pace):
		case <-ctx.Done():
			return fmt.Errorf("requests are under way: %v", p.left)
		}
	}
}

// read looks for panics in what it logged, and notes warnings.
func (p *process) read() {
	for line := range strings.Lines(p.said()) {
		var said struct {
			Level, Msg, Panic, Stack string
		}
		if json.Unmarshal([]byte(line), &said) != nil {
			if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
				p.g.fail("%s: %s", p.name(), strings.TrimSpace(line))
			}
			continue
		}
		if said.Panic != "" {
			p.g.fail("%s: %s: %s\n%s", p.name(), said.Msg, said.Panic, said.Stack)
		}
	}
}

// Killed is after its container was killed.
func (p *process) Killed() {
	ctx, cancel := context.WithTimeout(context.Background(), doing)
	defer cancel()
	p.stream.wait(ctx)
	p.over()
}

func (p *process) Left() []string { return p.left }

func (p *process) Gather() (map[string]float64, error) { return p.series, p.lacks }

// crash kills a replica.
func (g *ground) crash(number int) *fault {
	b := g.balancerOf(number)
	if b == nil {
		return cannot("there is no lb/%d", number)
	}
	touched := g.clients(number)
	b.queue.wait(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(g.ctx), doing)
		defer cancel()
		if err := g.kill(ctx, b.id, "KILL"); err != nil && !g.isOver() {
			g.note("%s cannot be killed: %v", b.name(), err)
			return
		}
		g.exited(ctx, b.id)
	})
	return &fault{touched: func() int { return touched }}
}
