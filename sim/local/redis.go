package local

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/session/redistest"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// Start is the Redis that is started for each run.
const Start = "start"

// Check says what is wrong with the options.
func (o Options) Check() error {
	switch o.Redis {
	case "":
		return nil
	case Start:
		if _, err := exec.LookPath("redis-server"); err != nil {
			return fmt.Errorf("Redis cannot be started: %w: install it, or give the URL of one that is there", err)
		}
		return nil
	}
	_, err := parsed(o.Redis)
	return err
}

// Reach says why the Redis cannot be reached that the options give the URL of.
func (o Options) Reach() error {
	if o.Redis == "" || o.Redis == Start {
		return nil
	}
	u, err := parsed(o.Redis)
	if err != nil {
		return err
	}
	// There, and not only said to be.
	c, err := net.DialTimeout("tcp", u.Host, passing)
	if err != nil {
		return fmt.Errorf("Redis cannot be reached: %w", err)
	}
	return c.Close()
}

// parsed is a URL of one server without TLS: what a relay can stand before.
func parsed(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the URL of Redis: %w", errors.Unwrap(err)) // not the URL, which may have a password
	}
	if u.Scheme != "redis" || u.Hostname() == "" || strings.Contains(u.Host, ",") {
		return nil, fmt.Errorf("the URL of Redis is to be redis://[USER:PASSWORD@]HOST[:PORT][/DB], one server without TLS, or the word %s", Start)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "6379")
	}
	return u, nil
}

func (n *network) Redis() (stage.Redis, error) {
	h := n.Host("redis", netip.AddrPortFrom(stage.RedisAddress.Addr(), 0)).(*host)
	h.relayed = true
	switch n.options.Redis {
	case "":
		return stage.NewMini(h, n.Clock())
	case Start:
		return n.start(h)
	}
	u, err := parsed(n.options.Redis)
	if err != nil {
		return nil, err
	}
	r := &redis{host: h, url: *u, real: u.Host, namespace: fmt.Sprintf("sim-%d-%d-%s", os.Getpid(), time.Now().UnixNano(), n.number)}
	r.url.Host = stage.RedisAddress.String()
	return r, r.Listen()
}

// redis is a real one.
type redis struct {
	host      *host
	url       url.URL // by the scenario's address
	namespace string
	real      string // address

	// Of one that was started.
	dir     string
	server  *redistest.Server // nil: it is somebody else's
	replica *redistest.Server // of the server; nil: none
}

// start starts one, with a replica if there is to be a failover.
func (n *network) start(h *host) (_ stage.Redis, err error) {
	r := &redis{host: h, namespace: "sim", url: url.URL{Scheme: "redis", Host: stage.RedisAddress.String()}}
	if r.dir, err = os.MkdirTemp("", "sim-redis-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.Stop()
		}
	}()
	if r.server, err = r.process("server"); err != nil {
		return nil, err
	}
	r.real = r.server.Addr()
	for i := range n.s.Timeline {
		if n.s.Timeline[i].Failover && r.replica == nil {
			if r.replica, err = r.process("replica", "--replicaof", "127.0.0.1 "+r.server.Port); err != nil {
				return nil, err
			}
		}
	}
	if r.replica != nil {
		if err := r.follows(); err != nil {
			return nil, err
		}
	}
	return r, r.Listen()
}

// process starts a redis-server.
func (r *redis) process(name string, args ...string) (*redistest.Server, error) {
	dir := r.dir + string(os.PathSeparator) + name
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := redistest.Start(dir, redistest.Options{Args: args})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// follows waits until the replica has what the server has.
func (r *redis) follows() error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(pace) {
		info, err := r.replica.Do("INFO", "replication")
		text, _ := info.(string)
		switch {
		case err != nil:
			return err
		case strings.Contains(text, "master_link_status:up"):
			return nil
		case time.Now().After(end):
			return errors.New("the replica of Redis does not follow it")
		}
	}
}

func (r *redis) URL() string       { return r.url.String() }
func (r *redis) Namespace() string { return r.namespace }
func (r *redis) Host() stage.Host  { return r.host }

// Listen has it be found. It never went away: its host alone did.
func (r *redis) Listen() error {
	return r.host.add(&listener{real: r.real, host: r.host, port: stage.RedisAddress.Port()})
}

// Cannot says why a fault cannot be made with these options; empty: it can.
func (o Options) Cannot(f *scenario.Fault) string {
	if o.Redis != "" && o.Redis != Start && (f.Failover || f.Flush || f.ReadOnly) {
		return errNotOurs.Error()
	}
	return stage.Cannot(f)
}

// errNotOurs is of faults that would change a server for others too.
var errNotOurs = errors.New("the Redis is not the simulator's own, and so is not changed: give --redis " + Start)

// Failover kills the server, and has its replica take over.
func (r *redis) Failover() (int, error) {
	switch {
	case r.server == nil:
		return 0, errNotOurs
	case r.replica == nil:
		return 0, errors.New("Redis has no replica left that could take over")
	}
	n := r.host.net
	n.mu.Lock()
	_, relays := r.host.open() // which end as the server does
	n.mu.Unlock()
	r.server.Kill()
	if _, err := r.replica.Do("REPLICAOF", "NO", "ONE"); err != nil {
		return 0, err
	}
	r.server, r.replica = r.replica, nil
	r.real = r.server.Addr()
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := r.host.listeners[stage.RedisAddress.Port()]; l != nil {
		l.real = r.real
	}
	r.host.breakAll()
	return len(relays), nil
}

func (r *redis) Flush() (int, error) {
	if r.server == nil {
		return 0, errNotOurs
	}
	n, err := r.server.Do("DBSIZE")
	if err == nil {
		_, err = r.server.Do("FLUSHALL")
	}
	keys, _ := n.(int64)
	return int(keys), err
}

// ReadOnly has it be the replica of nobody who could be reached.
func (r *redis) ReadOnly(is bool) (int, error) {
	if r.server == nil {
		return 0, errNotOurs
	}
	host, port := "NO", "ONE"
	if is {
		var err error
		if host, port, err = net.SplitHostPort(r.host.net.nobody.address); err != nil {
			return 0, err
		}
	}
	if _, err := r.server.Do("REPLICAOF", host, port); err != nil {
		return 0, err
	}
	return r.refused()
}

// refused is how often it has refused to write, which it counts itself.
func (r *redis) refused() (int, error) {
	info, err := r.server.Do("INFO", "errorstats")
	if err != nil {
		return 0, err
	}
	text, _ := info.(string)
	_, rest, _ := strings.Cut(text, "errorstat_READONLY:count=")
	number := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	n, _ := strconv.Atoi(number) // none yet
	return n, nil
}

func (r *redis) Stop() {
	r.host.Crash()
	for _, s := range []*redistest.Server{r.server, r.replica} {
		if s != nil {
			s.Stop()
		}
	}
	if r.dir != "" {
		os.RemoveAll(r.dir)
	}
}
