package virtual

import (
	"context"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"go-loadbalancer/sim/memnet"
)

// redis is the one that the replicas share.
type redis struct {
	net     *memnet.Network
	host    *memnet.Host
	address string
	mini    *miniredis.Miniredis
	end     chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	readOnly bool
	refused  int // commands, for it is read-only
	undo     []write
}

// write is how a key was before it was written.
type write struct {
	at    time.Time
	key   string
	held  bool
	value string
	ttl   time.Duration
}

// lost is how much a failover loses.
const lost = time.Second

// startRedis starts one that is empty.
func startRedis(n *memnet.Network) (*redis, error) {
	at := netip.MustParseAddr("198.18.255.1")
	r := &redis{net: n, host: n.Host("redis", at), address: netip.AddrPortFrom(at, 6379).String(), mini: miniredis.NewMiniRedis(), end: make(chan struct{})}
	// It starts with the first connection, and so without a real listener.
	first, err := r.mini.Dial()
	if err != nil {
		return nil, err
	}
	first.Close()
	r.mini.Server().SetPreHook(r.before)
	if err := r.listen(); err != nil {
		return nil, err
	}
	clock := n.Clock()
	r.running.Go(func() {
		for {
			clock.Sleep(time.Second)
			select {
			case <-r.end:
				return
			default:
			}
			r.mini.FastForward(time.Second)
		}
	})
	return r, nil
}

func (r *redis) listen() error {
	l, err := r.host.Listen(context.Background(), "tcp", ":6379")
	if err != nil {
		return err
	}
	r.running.Go(func() { r.accept(l) })
	return nil
}

func (r *redis) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r.mini.Server().ServeConn(c)
	}
}

// stop ends it; its connections have ended.
func (r *redis) stop() {
	close(r.end)
	r.net.Crash(r.host)
	r.mini.Close()
	r.running.Wait()
}

// keys are those that a command writes.
func keys(command string, args []string) []string {
	switch command {
	case "SET", "SETNX", "PEXPIRE", "EXPIRE", "DEL":
		if len(args) > 0 {
			return args[:1]
		}
	case "EVAL", "EVALSHA":
		if len(args) > 1 {
			if n, err := strconv.Atoi(args[1]); err == nil && n >= 0 && len(args) >= 2+n {
				return args[2 : 2+n]
			}
		}
	}
	return nil
}

// nested says whether a command is called by a script, which has told of its keys and
// holds the lock of all there is. Only a field that is not exported tells them apart.
func nested(p *server.Peer) bool {
	ctx := reflect.ValueOf(p.Ctx)
	if ctx.Kind() != reflect.Pointer || ctx.IsNil() || ctx.Elem().Kind() != reflect.Struct {
		return false
	}
	field := ctx.Elem().FieldByName("nested")
	return field.Kind() == reflect.Bool && field.Bool()
}

// before is called with each command; true: it has been answered.
func (r *redis) before(p *server.Peer, command string, args ...string) bool {
	writes := keys(command, args)
	if writes == nil || nested(p) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.readOnly {
		r.refused++
		p.WriteError("READONLY You can't write against a read only replica.")
		return true
	}
	now := time.Now()
	old := 0
	for old < len(r.undo) && now.Sub(r.undo[old].at) > lost {
		old++
	}
	r.undo = slices.Delete(r.undo, 0, old)
	for _, key := range writes {
		w := write{at: now, key: key, held: r.mini.Exists(key)}
		if w.held {
			w.value, _ = r.mini.Get(key)
			w.ttl = r.mini.TTL(key)
		}
		r.undo = append(r.undo, w)
	}
	return false
}

// failover replaces it by its replica, which is a second behind. All connections end.
func (r *redis) failover() (touched int) {
	r.mu.Lock()
	now := time.Now()
	for i := len(r.undo) - 1; i >= 0 && now.Sub(r.undo[i].at) <= lost; i-- {
		w := &r.undo[i]
		if r.mini.Del(w.key); w.held {
			r.mini.Set(w.key, w.value)
			r.mini.SetTTL(w.key, w.ttl)
		}
		touched++
	}
	r.undo = nil
	r.mu.Unlock()
	return touched + r.net.Reset(r.host)
}

// flush empties it.
func (r *redis) flush() int {
	n := len(r.mini.Keys())
	r.mini.FlushAll()
	return n
}

// setReadOnly has it refuse what writes, or no longer, and says how often it has.
func (r *redis) setReadOnly(is bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readOnly = is
	return r.refused
}
