package names_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/policy"
)

var errNoHost = errors.New("no such host")

// answer is what a resolver says of a name.
type answer struct {
	addresses string // separated by spaces
	ttl       time.Duration
	err       error
	takes     time.Duration
	hangs     bool // until its context ends
}

// script is a resolver that says what it is told to, and remembers when it was
// asked.
type script struct {
	mu      sync.Mutex
	answers map[string]answer
	began   time.Time
	asked   map[string][]time.Duration // by host, since the beginning
	running int
	most    int // at a time
}

func (s *script) say(host string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[host] = a
}

func (s *script) resolve(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
	s.mu.Lock()
	a, ok := s.answers[host]
	s.asked[host] = append(s.asked[host], time.Since(s.began))
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if !ok {
		a.err = errNoHost
	}
	if a.hangs {
		a.takes = 1000 * time.Hour
	}
	select {
	case <-time.After(a.takes):
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	return parse(a.addresses), a.ttl, a.err
}

// load is how many look-ups run now, and how many did at a time.
func (s *script) load() (now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running, s.most
}

// times are when a name was asked for, since the beginning.
func (s *script) times(host string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked[host])
}

func parse(text string) (out []netip.Addr) {
	for _, ip := range strings.Fields(text) {
		if ip == "invalid" {
			out = append(out, netip.Addr{})
			continue
		}
		out = append(out, netip.MustParseAddr(ip))
	}
	return out
}

// shelf is a book with a scripted resolver.
type shelf struct {
	*names.Book
	*script
	log record

	telling sync.Mutex
	told    []event.Resolution
}

// events are what was told so far.
func (s *shelf) events() []event.Resolution {
	s.telling.Lock()
	defer s.telling.Unlock()
	return slices.Clone(s.told)
}

// record is a log that may be read while it is written.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// virtually runs a test with an open book, in virtual time.
func virtually(t *testing.T, seed uint64, test func(t *testing.T, s *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{script: &script{answers: map[string]answer{}, asked: map[string][]time.Duration{}, began: time.Now()}}
		s.Book = names.New(names.Options{
			Resolve: s.resolve, Rand: seed,
			Events: &event.Listener{NameResolved: func(r *event.Resolution) {
				s.telling.Lock()
				defer s.telling.Unlock()
				s.told = append(s.told, *r)
			}},
			Logger: slog.New(slog.NewTextHandler(&s.log, nil)),
		})
		defer s.Close()
		test(t, s)
	})
}

// learn follows the names at an interval, and returns how long that took.
func (s *shelf) learn(t *testing.T, interval time.Duration, hosts ...string) time.Duration {
	t.Helper()
	wanted := names.Hosts{}
	for _, h := range hosts {
		wanted[h] = interval
	}
	began := time.Now()
	if err := s.Learn(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	s.Keep(wanted)
	return time.Since(began)
}

// of are the addresses a name has now.
func (s *shelf) of(host string) string {
	p := s.Expand(pools(policy.Pool{Endpoints: at(host + ":80")}))
	var out []string
	for _, e := range p.Pools[0].Endpoints {
		out = append(out, strings.TrimSuffix(e.Address, ":80"))
	}
	return strings.Join(out, " ")
}

// logged counts the lines of the log with a text.
func (s *shelf) logged(text string) (n int) {
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func pools(all ...policy.Pool) *policy.Policy {
	p := &policy.Policy{Name: "test", Pools: all}
	for i := range p.Pools {
		if p.Pools[i].Name == "" {
			p.Pools[i].Name = fmt.Sprint("pool-", i)
		}
	}
	return p
}

func at(addresses ...string) (out []policy.Endpoint) {
	for i, a := range addresses {
		out = append(out, policy.Endpoint{Address: a, Weight: 1, Pos: policy.Pos{File: "p.yaml", Line: i + 1, Col: 1}})
	}
	return out
}
