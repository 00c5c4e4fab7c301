package stage

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
)

// mini is a Redis in this process, on a network like everybody else.
type mini struct {
	host    Host
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

// RedisAddress is where Redis is.
var RedisAddress = netip.MustParseAddrPort("198.18.255.1:6379")

// NewMini starts a Redis that is empty, in this process, at RedisAddress. Its keys age
// by the clock.
func NewMini(host Host, clock Clock) (Redis, error) {
	r := &mini{host: host, mini: miniredis.NewMiniRedis(), end: make(chan struct{})}
	// It starts with the first connection, and so without a real listener.
	first, err := r.mini.Dial()
	if err != nil {
		return nil, err
	}
	first.Close()
	r.mini.Server().SetPreHook(r.before)
	if err := r.Listen(); err != nil {
		r.mini.Close()
		return nil, err
	}
	r.running.Go(func() {
		for {
			timer := time.NewTimer(time.Until(clock.Round(time.Now().Add(time.Second))))
			select {
			case <-r.end:
				timer.Stop()
				return
			case <-timer.C:
			}
			r.mini.FastForward(time.Second)
		}
	})
	return r, nil
}

func (r *mini) URL() string       { return "redis://" + RedisAddress.String() }
func (r *mini) Namespace() string { return "sim" }
func (r *mini) Host() Host        { return r.host }

func (r *mini) Listen() error {
	l, err := r.host.Listen(context.Background(), "tcp", ":6379")
	if err != nil {
		return err
	}
	r.running.Go(func() { r.accept(l) })
	return nil
}

func (r *mini) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		r.mini.Server().ServeConn(c)
	}
}

// Stop ends it; its connections have ended.
func (r *mini) Stop() {
	close(r.end)
	r.host.Crash()
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
func (r *mini) before(p *server.Peer, command string, args ...string) bool {
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

// Failover replaces it by its replica, which is a second behind. All connections end.
func (r *mini) Failover() (touched int, err error) {
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
	return touched + r.host.Reset(), nil
}

// Flush empties it.
func (r *mini) Flush() (int, error) {
	n := len(r.mini.Keys())
	r.mini.FlushAll()
	return n, nil
}

// ReadOnly has it refuse what writes, or no longer, and says how often it has.
func (r *mini) ReadOnly(is bool) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readOnly = is
	return r.refused, nil
}
