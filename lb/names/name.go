package names

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"go-loadbalancer/lb/event"
)

// name is a host name that is being followed.
type name struct {
	host   string
	forget context.CancelFunc
	tried  chan struct{} // closed once it was looked up, or is not going to be
	hurry  chan struct{} // its interval changed

	// Guarded by Book.mu.
	interval  time.Duration
	addresses []netip.Addr // the last good ones, sorted; never changed in place
}

func newName(host string, interval time.Duration) *name {
	return &name{host: host, interval: interval, tried: make(chan struct{}), hurry: make(chan struct{}, 1)}
}

func compareNames(a, b *name) int { return cmp.Compare(a.host, b.host) }

// follow looks a name up until ctx ends.
func (b *Book) follow(ctx context.Context, n *name) {
	// A source of its own: what it draws does not depend on other names' turns.
	chance := rand.New(rand.NewPCG(b.rand, xxhash.Sum64String(n.host)))
	var m mood
	p, ok := b.lookUp(ctx, n, &m)
	close(n.tried)
	for ok {
		p.draw = chance.Float64()
		if !b.pause(ctx, n, p) {
			return
		}
		p, ok = b.lookUp(ctx, n, &m)
	}
}

// mood is how a name's look-ups have been going, so that only turns are logged.
type mood struct {
	failures int // in a row
	cut      bool
}

// lookUp looks a name up once. It reports false if ctx ended.
func (b *Book) lookUp(ctx context.Context, n *name, m *mood) (p pace, ok bool) {
	select {
	case b.turns <- struct{}{}:
	case <-ctx.Done():
		return pace{}, false
	}
	limited, cancel := context.WithTimeout(ctx, lookUpTimeout)
	found, ttl, err := b.resolve(limited, n.host)
	cancel()
	<-b.turns
	if ctx.Err() != nil {
		return pace{}, false
	}
	b.take(n, m, clean(found), ttl, err)
	return pace{ttl: ttl, failures: m.failures}, true
}

// take makes an answer the name's if it is a good one, and tells of it.
func (b *Book) take(n *name, m *mood, a answer, ttl time.Duration, err error) {
	if err == nil && len(a.addresses) == 0 {
		err = a.emptiness()
	}
	b.mu.Lock()
	before := n.addresses
	if err == nil {
		n.addresses = a.addresses
	}
	now := n.addresses
	b.mu.Unlock()
	changed := !slices.Equal(before, now)

	if f := b.events.NameResolved; f != nil {
		f(&event.Resolution{Host: n.host, Addresses: len(now), Changed: changed, Err: err, At: time.Now()})
	}
	b.tell(n.host, m, before, now, a, ttl, err)
	if changed {
		select {
		case b.changed <- struct{}{}:
		default: // told already, and not heard yet
		}
	}
}

// tell logs what is news, and notes it.
func (b *Book) tell(host string, m *mood, before, now []netip.Addr, a answer, ttl time.Duration, err error) {
	if err != nil {
		m.failures++
		switch {
		case m.failures > 1:
		case len(now) == 0:
			b.log.Warn("a name of endpoints cannot be resolved: its pools do without them until it can; looking it up goes on", "name", host, "error", err)
		default:
			b.log.Warn("a name of endpoints cannot be resolved: the addresses found last stay; looking it up goes on", "name", host, "error", err, "addresses", len(now))
		}
		return
	}
	if m.failures > 0 {
		b.log.Info("a name of endpoints can be resolved again", "name", host, "failures", m.failures)
	}
	m.failures = 0
	if !slices.Equal(before, now) {
		b.log.Info("the addresses of a name of endpoints changed", "name", host,
			"addresses", now[:min(len(now), maxListed)], "count", len(now), "before", len(before), "ttl", ttl.String())
	}
	if cut := a.cut > 0; cut != m.cut {
		if m.cut = cut; cut {
			b.log.Warn("a name of endpoints has more addresses than are used", "name", host, "used", len(now), "unused", a.cut)
		}
	}
}

// pause waits for the time of the next look-up. It reports false if ctx ended.
func (b *Book) pause(ctx context.Context, n *name, p pace) bool {
	began := time.Now()
	for {
		b.mu.Lock()
		interval := n.interval
		b.mu.Unlock()
		timer := time.NewTimer(time.Until(began.Add(p.wait(interval))))
		select {
		case <-timer.C:
			return true
		case <-n.hurry:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
