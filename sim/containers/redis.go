//go:build !image

package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"go-loadbalancer/sim/relay"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// redis is the Redis that the replicas share: a server; where there is to be a failover
// also its replica and a Sentinel; where connections to it are to be cut or slow also a
// relay before it.
type redis struct {
	g                                *ground
	host                             *host
	queue                            *queue
	primary, replica, sentinel, gate *node
	control                          uint16 // of 127.0.0.1, where the gate is told what to do
	http                             http.Client
}

// node is one of its containers.
type node struct {
	*testcontainers.DockerContainer
	name string
	real netip.AddrPort
}

const (
	redisPort    = 6379
	sentinelPort = 26379
	// master is what Sentinel calls the primary.
	master = "sim"
	// down is when Sentinel takes it for dead.
	down = 500 * time.Millisecond
)

func newRedis(g *ground) *redis {
	at := netip.AddrPortFrom(stage.RedisAddress.Addr(), 0)
	r := &redis{g: g, host: g.host("redis", at), queue: newQueue(), http: http.Client{Transport: &http.Transport{}}}
	r.host.redis = r
	place := redisPlace
	node := func(name string, port uint16) *node {
		n := &node{name: name, real: netip.AddrPortFrom(g.place(place), port)}
		place++
		return n
	}
	r.primary = node("redis", redisPort)
	for i := range g.job.Scenario.Timeline {
		f := &g.job.Scenario.Timeline[i]
		switch {
		case f.On.Kind != scenario.OnRedis:
		case f.Failover && r.replica == nil:
			r.replica, r.sentinel = node("redis-replica", redisPort), node("sentinel", sentinelPort)
		case r.gate == nil && (f.Slow > 0 || f.Partitioned):
			r.gate = node("redis-gate", redisPort)
		}
	}
	if r.replica != nil {
		r.gate = nil // whom Sentinel names is reached without one
	}
	return r
}

// make makes the containers.
func (r *redis) make(ctx context.Context) error {
	server := func(more ...string) []string {
		// What it was told outlives a kill. A primary would wait five seconds for more
		// replicas before it sends the first what it has.
		return append([]string{
			"redis-server", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--protected-mode", "no", "--repl-diskless-sync-delay", "0",
		}, more...)
	}
	var all tasks
	make := func(n *node, s spec) {
		if n == nil {
			return
		}
		s.run, s.name, s.address = r.g.id, n.name, n.real.Addr()
		all.do(func() (err error) {
			n.DockerContainer, err = r.g.create(ctx, s)
			return err
		})
	}
	make(r.primary, spec{image: r.g.options.Redis, command: server()})
	make(r.replica, spec{image: r.g.options.Redis, command: server("--replicaof", r.primary.real.Addr().String()+" "+strconv.Itoa(redisPort))})
	if r.sentinel != nil {
		settings := fmt.Sprintf(`port %d\nprotected-mode no\nsentinel monitor %s %s %d 1\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 5000\n`,
			sentinelPort, master, r.primary.real.Addr(), redisPort, master, down.Milliseconds(), master)
		make(r.sentinel, spec{image: r.g.options.Redis, command: []string{
			"sh", "-c", `printf '` + settings + `' >/tmp/sentinel.conf && exec redis-server /tmp/sentinel.conf --sentinel`,
		}})
	}
	if r.gate != nil {
		r.g.mu.Lock()
		port, err := freePort(r.g.ports)
		r.g.mu.Unlock()
		if err != nil {
			return errors.Join(err, all.wait())
		}
		r.control = port
		make(r.gate, spec{
			image: r.g.options.Image, ports: map[uint16]uint16{controlPort: port}, cuttable: r.g.cut,
			command: []string{
				"sim", "relay", "--listen", fmt.Sprintf(":%d", redisPort), "--to", r.primary.real.String(), "--control", fmt.Sprintf(":%d", controlPort),
			},
		})
	}
	return all.wait()
}

// begin starts them, and returns when all do what they are for.
func (r *redis) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing)
	defer cancel()
	var all tasks
	all.do(func() error { return r.servers(ctx) })
	if r.gate != nil {
		all.do(func() error { return r.relay(ctx) })
	}
	return all.wait()
}

// servers starts those of Redis, the primary first, for the others ask it.
func (r *redis) servers(ctx context.Context) error {
	if err := r.start(ctx, r.primary, "PONG", "PING"); err != nil || r.replica == nil {
		return err
	}
	var all tasks
	all.do(func() error { return r.start(ctx, r.replica, "master_link_status:up", "INFO", "replication") })
	all.do(func() error {
		// Sentinel promotes nobody of whom it has not heard for five seconds, and asks every
		// ten: a failover would take two seconds or twelve, as it comes. Until it knows the
		// replica it is in a hurry. One of before Redis 7 cannot be hurried.
		if err := r.start(ctx, r.sentinel, "PONG", "-p", strconv.Itoa(sentinelPort), "PING"); err != nil {
			return err
		}
		every := func(ms int) error {
			_, err := r.sentinel.do(ctx, sentinel("DEBUG", "INFO-PERIOD", strconv.Itoa(ms))...)
			return err
		}
		if err := every(100); err != nil {
			return err
		}
		if err := r.sentinel.await(ctx, r.replica.real.Addr().String(), sentinel("replicas", master)...); err != nil {
			return err
		}
		return every(1000)
	})
	return all.wait()
}

// sentinel is a command for Sentinel.
func sentinel(words ...string) []string {
	return append([]string{"-p", strconv.Itoa(sentinelPort), "SENTINEL"}, words...)
}

// relay starts the gate.
func (r *redis) relay(ctx context.Context) error {
	if err := r.g.start(ctx, r.gate.ID); err != nil {
		return fmt.Errorf("%s does not start: %w", r.gate.name, err)
	}
	return until(ctx, func() error {
		_, err := r.tell(ctx, http.MethodGet, "/state")
		return err
	})
}

// until does something again and again, until it goes well.
func until(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return err
		}
	}
}

// start starts one of Redis, and waits until it answers something with a text.
func (r *redis) start(ctx context.Context, n *node, text string, words ...string) error {
	if err := r.g.start(ctx, n.ID); err != nil {
		return fmt.Errorf("%s does not start: %w", n.name, err)
	}
	return n.await(ctx, text, words...)
}

// await waits until one answers a command with a text.
func (n *node) await(ctx context.Context, text string, words ...string) error {
	// Asked from inside: to look from here again and again would take a process of the
	// engine's each time, and the time of those that start. It ends by itself, for nobody
	// else ends it if ctx does.
	const wait = `text=$1; shift; tries=0
until said=$(redis-cli "$@" 2>&1); case $said in *"$text"*) true ;; *) false ;; esac; do
	tries=$((tries + 1)); [ $tries -lt 500 ] || { echo "it says $said"; exit 1; }
	sleep 0.02
done`
	if _, err := n.run(ctx, append([]string{"sh", "-c", wait, "sh", text}, words...)...); err != nil {
		return fmt.Errorf("%s does not do what it is there for: %w", n.name, err)
	}
	return nil
}

// do has one of Redis do a command.
func (n *node) do(ctx context.Context, words ...string) (string, error) {
	return n.run(ctx, append([]string{"redis-cli"}, words...)...)
}

// run has a command run beside it.
func (n *node) run(ctx context.Context, words ...string) (string, error) {
	status, out, err := n.Exec(ctx, words, tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(out, 1<<20))
	if err == nil && status != 0 {
		err = fmt.Errorf("%s: status %d: %s", strings.Join(words, " "), status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// quick is do, of the primary, within the time one thing may take.
func (r *redis) quick(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(r.g.ctx, doing)
	defer cancel()
	return r.primary.do(ctx, words...)
}

// tell tells the gate what to do.
func (r *redis) tell(ctx context.Context, method, path string) (s relay.State, err error) {
	q, err := http.NewRequestWithContext(ctx, method, "http://"+local(r.control)+path, nil)
	if err != nil {
		return s, err
	}
	resp, err := r.http.Do(q)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, strings.TrimSpace(string(text)))
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

func (r *redis) URL() string {
	switch {
	case r.sentinel != nil:
		return "redis+sentinel://" + r.sentinel.real.String() + "/0?master=" + master
	case r.gate != nil:
		return "redis://" + r.gate.real.String()
	}
	return "redis://" + r.primary.real.String()
}

func (r *redis) Namespace() string { return "sim" }
func (r *redis) Host() stage.Host  { return r.host }

// clients are the connections to it, but for its own and who asks.
func (r *redis) clients() int {
	text, err := r.quick("CLIENT", "LIST", "TYPE", "normal")
	if err != nil {
		return 0
	}
	return max(0, strings.Count(text, "id=")-1)
}

// crash kills it.
func (r *redis) crash() stage.Fault {
	clients := r.clients()
	r.queue.wait(func() { r.kill() })
	return &fault{touched: func() int { return clients }}
}

func (r *redis) kill() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.g.ctx), doing)
	defer cancel()
	if err := r.g.kill(ctx, r.primary.ID, "KILL"); err != nil && !r.g.isOver() {
		r.g.note("Redis cannot be killed: %v", err)
		return err
	}
	_, err := r.g.exited(ctx, r.primary.ID)
	return err
}

// Listen starts it again after a crash.
func (r *redis) Listen() error {
	r.queue.do(func() {
		if r.g.isOver() {
			return
		}
		ctx, cancel := context.WithTimeout(r.g.ctx, doing)
		defer cancel()
		err := r.start(ctx, r.primary, "PONG", "PING")
		if err == nil && r.sentinel != nil && r.replica == nil {
			err = until(ctx, func() error { return r.promote(ctx) })
		}
		if err != nil {
			r.g.note("%v", err)
		}
	})
	return nil
}

// promote has the replica take over that is up again. Sentinel may have given up on it
// meanwhile, and would try again only after twice its timeout.
func (r *redis) promote(ctx context.Context) error {
	is, err := r.sentinel.do(ctx, sentinel("GET-MASTER-ADDR-BY-NAME", master)...)
	if err != nil || strings.Contains(is, r.primary.real.Addr().String()) {
		return err
	}
	answer, err := r.sentinel.do(ctx, sentinel("FAILOVER", master)...)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s has not taken over yet: Sentinel says %q", r.primary.name, answer)
}

// Failover kills the primary. Sentinel has the replica take over as soon as it knows.
func (r *redis) Failover() (int, error) {
	if r.replica == nil {
		return 0, errors.New("Redis has no replica left that could take over")
	}
	clients := r.clients()
	var err error
	r.queue.wait(func() { err = r.kill() })
	r.primary, r.replica = r.replica, nil
	return clients, err
}

func (r *redis) Flush() (int, error) {
	text, err := r.quick("DBSIZE")
	if err == nil {
		_, err = r.quick("FLUSHALL")
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(text, "(integer) "))
	return n, err
}

// ReadOnly has it be the replica of nobody who could be reached.
func (r *redis) ReadOnly(is bool) (int, error) {
	host, port := "NO", "ONE"
	if is {
		host, port = "127.0.0.1", "1"
	}
	if _, err := r.quick("REPLICAOF", host, port); err != nil {
		return 0, err
	}
	text, err := r.quick("INFO", "errorstats")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, "errorstat_READONLY:count=")
	n, _ := strconv.Atoi(rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]) // none yet
	return n, nil
}

// Stop is nothing: it ends with the rest.
func (r *redis) Stop() { r.http.CloseIdleConnections() }

// slow has its answers come later, by the gate.
func (r *redis) slow(by time.Duration) stage.Fault {
	if r.gate == nil {
		return cannot("where there is to be a failover of Redis, connections to it are not slowed down on this stage")
	}
	f := &fault{}
	set := func(by time.Duration) (slowed int) {
		r.queue.wait(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.g.ctx), doing)
			defer cancel()
			s, err := r.tell(ctx, http.MethodPut, "/slow?by="+by.String())
			if err != nil {
				f.why = "Redis cannot be slowed down: " + err.Error()
			}
			slowed = s.Slowed
		})
		return slowed
	}
	before, after := set(by), 0
	f.end = func() { after = set(0) }
	f.touched = func() int { return after - before }
	return f
}

// open is how many connections lead through the gate.
func (r *redis) open() int {
	ctx, cancel := context.WithTimeout(r.g.ctx, doing)
	defer cancel()
	s, _ := r.tell(ctx, http.MethodGet, "/state") // of one that does not answer none are known
	return s.Open
}
