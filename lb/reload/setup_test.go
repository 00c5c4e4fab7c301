package reload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/snapshot"
)

// shop is a policy of one pool.
func shop(version string, endpoints ...string) reload.Bundle {
	var b bytes.Buffer
	fmt.Fprintf(&b, `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: %q}
spec:
  listeners:
    - {name: http, address: "127.0.0.1:8000"}
  routes:
    - name: cart
      backendRefs: [{pool: cart}]
  pools:
    - name: cart
      endpoints:
`, version)
	for _, e := range endpoints {
		fmt.Fprintf(&b, "        - {address: %q}\n", e)
	}
	return reload.Bundle{Files: map[string][]byte{"shop.yaml": b.Bytes()}}
}

// broken is a policy with two errors.
func broken(note string) reload.Bundle {
	b := shop("broken", "127.0.0.1:9001")
	b.Files["shop.yaml"] = append(b.Files["shop.yaml"], fmt.Sprintf("      colour: red # %s\n      shape: round\n", note)...)
	return b
}

// script is a source that holds what it is told to.
type script struct {
	changed chan struct{}

	mu     sync.Mutex
	bundle reload.Bundle
	err    error
	gate   chan struct{} // reads wait for it; nil: they do not
	boom   bool          // reads panic
}

func (s *script) Changed() <-chan struct{} { return s.changed }

func (s *script) Read(ctx context.Context) (reload.Bundle, error) {
	s.mu.Lock()
	b, err, gate, boom := s.bundle, s.err, s.gate, s.boom
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return reload.Bundle{}, ctx.Err()
		}
	}
	if boom {
		panic("the source exploded")
	}
	return b, err
}

func (s *script) hold(b reload.Bundle) { s.set(func() { s.bundle, s.err = b, nil }) }

func (s *script) fail(err error) { s.set(func() { s.err = err }) }

func (s *script) set(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.maybe()
}

// maybe tells of a change.
func (s *script) maybe() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// shelf is a LastGood in memory.
type shelf struct {
	kept    *reload.Bundle
	saves   int
	loadErr error
	saveErr error
	onSave  func()
}

func (s *shelf) Load() (reload.Bundle, error) {
	switch {
	case s.loadErr != nil:
		return reload.Bundle{}, s.loadErr
	case s.kept == nil:
		return reload.Bundle{}, fmt.Errorf("nothing was kept yet: %w", fs.ErrNotExist)
	}
	return *s.kept, nil
}

func (s *shelf) Save(b reload.Bundle) error {
	s.saves++
	if s.onSave != nil {
		s.onSave()
	}
	if s.saveErr != nil {
		return s.saveErr
	}
	s.kept = &b
	return nil
}

// dns is a resolver that knows what it is told.
type dns struct {
	mu    sync.Mutex
	known map[string]string // addresses, separated by spaces; "hang": no answer
	asked map[string]int
}

func (d *dns) say(host, addresses string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[host] = addresses
}

// times is how often a name was looked up.
func (d *dns) times(host string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[host]
}

func (d *dns) resolve(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
	d.mu.Lock()
	text, ok := d.known[host]
	if d.asked == nil {
		d.asked = map[string]int{}
	}
	d.asked[host]++
	d.mu.Unlock()
	if !ok {
		return nil, 0, errors.New("no such host")
	}
	if text == "hang" {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	var out []netip.Addr
	for _, ip := range strings.Fields(text) {
		out = append(out, netip.MustParseAddr(ip))
	}
	return out, 0, nil
}

// listening is a Prepared that counts how it ended.
type listening struct {
	b *bench
}

func (l listening) Commit()   { l.b.note("commit") }
func (l listening) Rollback() { l.b.note("rollback") }

// bench is a reloader with everything around it, and a record of what happened.
// It is for one goroutine, or several that a bubble keeps apart.
type bench struct {
	*reload.Reloader
	source  *script
	shelf   *shelf
	current snapshot.Current
	log     bytes.Buffer

	dns dns

	prepareErr error
	onPrepare  func()
	onPrepared func()

	steps      []string
	commits    []event.Commit
	rejections []event.Rejection
}

func newBench(t *testing.T) *bench {
	b := &bench{source: &script{changed: make(chan struct{}, 1)}, shelf: &shelf{}, dns: dns{known: map[string]string{}}}
	b.shelf.onSave = func() { b.note("save") }
	events := &event.Listener{
		PolicyPrepared: func(*event.Catalog) {
			b.note("prepared")
			if b.onPrepared != nil {
				b.onPrepared()
			}
		},
		PolicyCommitted: func(c *event.Commit) { b.note("committed"); b.commits = append(b.commits, *c) },
		PolicyRejected:  func(r *event.Rejection) { b.note("rejected"); b.rejections = append(b.rejections, *r) },
	}
	registry := pool.NewRegistry(pool.Options{
		Events: events,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("nothing is dialled here")
		},
	})
	t.Cleanup(registry.Close)
	book := names.New(names.Options{Resolve: b.dns.resolve, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(book.Close)
	b.Reloader = reload.New(reload.Options{
		Source: b.source, LastGood: b.shelf, Registry: registry, Current: &b.current, Names: book, Events: events,
		Prepare: func(context.Context, *snapshot.Snapshot) (reload.Prepared, error) {
			b.note("prepare")
			if b.onPrepare != nil {
				b.onPrepare()
			}
			if b.prepareErr != nil {
				return nil, b.prepareErr
			}
			return listening{b}, nil
		},
		Logger: slog.New(slog.NewJSONHandler(&b.log, nil)),
	})
	return b
}

// note records a step, with the version that served at that moment.
func (b *bench) note(step string) { b.steps = append(b.steps, step+"@"+b.version()) }

// version is that of the policy that serves.
func (b *bench) version() string {
	if s := b.current.Load(); s != nil {
		return s.Info.Version
	}
	return ""
}

// forget clears the record.
func (b *bench) forget() {
	b.steps, b.commits, b.rejections = nil, nil, nil
	b.log.Reset()
}

// started is a bench that serves version 1 with endpoints 9001 and 9002.
func started(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.source.hold(shop("1", "127.0.0.1:9001", "127.0.0.1:9002"))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-b.source.changed
	b.forget()
	return b
}
