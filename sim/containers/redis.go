package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"

	"go-loadbalancer/sim/stage"
)

// redis is the Redis that the replicas share.
type redis struct {
	g         *ground
	host      *host
	real      netip.AddrPort
	container *testcontainers.DockerContainer
	queue     *queue
}

const redisPort = 6379

func newRedis(g *ground) *redis {
	at := netip.AddrPortFrom(stage.RedisAddress.Addr(), 0)
	return &redis{g: g, host: g.host("redis", at), real: netip.AddrPortFrom(g.place(redisPlace), redisPort)}
}

func (r *redis) make(ctx context.Context) (err error) {
	r.container, err = r.g.create(ctx, spec{
		run: r.g.id, name: "redis", image: r.g.options.Redis, address: r.real.Addr(), data: r.g.data, control: r.g.control,
		// What it was told outlives a kill.
		command: []string{"redis-server", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--protected-mode", "no"},
	})
	r.queue = newQueue()
	return err
}

// begin starts it, and returns when it answers.
func (r *redis) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing)
	defer cancel()
	if err := r.g.start(ctx, r.container.ID); err != nil {
		return fmt.Errorf("Redis does not start: %w", err)
	}
	for {
		answer, err := r.do(ctx, "PING")
		if err == nil && answer == "PONG" {
			return nil
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return fmt.Errorf("Redis does not start: %s %w", answer, errors.Join(err, ctx.Err()))
		}
	}
}

// do has it do a command.
func (r *redis) do(ctx context.Context, words ...string) (string, error) {
	status, out, err := r.container.Exec(ctx, append([]string{"redis-cli"}, words...), tcexec.Multiplexed())
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(out, 1<<20))
	if err == nil && status != 0 {
		err = fmt.Errorf("redis-cli %s: status %d: %s", strings.Join(words, " "), status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// quick is do within the time one thing may take.
func (r *redis) quick(words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(r.g.ctx, doing)
	defer cancel()
	return r.do(ctx, words...)
}

func (r *redis) URL() string       { return "redis://" + r.real.String() }
func (r *redis) Namespace() string { return "sim" }
func (r *redis) Host() stage.Host  { return r.host }

// crash kills it.
func (r *redis) crash() stage.Fault {
	clients := 0
	if text, err := r.quick("CLIENT", "LIST"); err == nil {
		clients = strings.Count(text, "addr=") - strings.Count(text, "laddr=") - 1 // but for who asks
	}
	r.queue.wait(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.g.ctx), doing)
		defer cancel()
		if err := r.g.kill(ctx, r.container.ID, "KILL"); err != nil && !r.g.isOver() {
			r.g.note("Redis cannot be killed: %v", err)
			return
		}
		r.g.exited(ctx, r.container.ID)
	})
	return &fault{touched: func() int { return max(0, clients) }}
}

// Listen starts it again after a crash.
func (r *redis) Listen() error {
	r.queue.do(func() {
		if r.g.isOver() {
			return
		}
		if err := r.begin(r.g.ctx); err != nil {
			r.g.note("%v", err)
		}
	})
	return nil
}

func (r *redis) Failover() (int, error) {
	return 0, errors.New("Redis has no replica on this stage")
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
func (r *redis) Stop() {}
