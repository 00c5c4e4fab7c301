package names

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go-loadbalancer/lb/event"
)

const (
	// learnTimeout is how long a policy waits for names that are new with it.
	learnTimeout = 2 * time.Second
	// lookUpTimeout bounds one look-up.
	lookUpTimeout = 5 * time.Second
	// maxLookUps is how many run at a time.
	maxLookUps = 16
	// maxListed is how many names or addresses a line of the log lists.
	maxListed = 20
)

// Resolve looks a host name up. ttl is how long the answer is valid; 0: nobody
// knows. It must return soon after ctx has ended.
type Resolve func(ctx context.Context, host string) (addresses []netip.Addr, ttl time.Duration, err error)

// Options are a book's seams. The zero Options are usable.
type Options struct {
	// Resolve looks names up; nil: none can be.
	Resolve Resolve
	// Events is told NameResolved, by several goroutines; nil: nobody is.
	Events *event.Listener
	// Rand decides by how much look-ups are early or late.
	Rand uint64
	// Logger is told when a name's luck turns and when its addresses change; nil
	// discards it.
	Logger *slog.Logger
}

// Book holds names with their addresses.
type Book struct {
	resolve Resolve
	events  *event.Listener
	rand    uint64
	log     *slog.Logger

	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	turns   chan struct{} // a token for each look-up under way
	changed chan struct{}

	mu    sync.Mutex
	names map[string]*name // by host
}

// New returns a book without names. Nothing is looked up until [Book.Learn].
func New(o Options) *Book {
	b := &Book{
		resolve: o.Resolve, events: o.Events, rand: o.Rand, log: o.Logger,
		turns: make(chan struct{}, maxLookUps), changed: make(chan struct{}, 1), names: map[string]*name{},
	}
	b.life, b.end = context.WithCancel(context.Background())
	if b.resolve == nil {
		b.resolve = func(context.Context, string) ([]netip.Addr, time.Duration, error) {
			return nil, 0, errors.New("this balancer was given no resolver: write IP addresses")
		}
	}
	if b.events == nil {
		b.events = new(event.Listener)
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	return b
}

// Learn adds the names that are not known yet, and waits until each was looked
// up once, but not longer than 2 s for all of them: those without an answer by
// then go on being looked up. The error is ctx's.
func (b *Book) Learn(ctx context.Context, wanted Hosts) error {
	added := b.add(wanted)
	if len(added) == 0 {
		return nil
	}
	late := time.NewTimer(learnTimeout)
	defer late.Stop()
	for i, n := range added {
		select {
		case <-n.tried:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			b.warnLate(added[i:])
			return nil
		}
	}
	return nil
}

// add begins to follow the names that are new, and returns them sorted.
func (b *Book) add(wanted Hosts) []*name {
	b.mu.Lock()
	defer b.mu.Unlock()
	var added []*name
	for host, interval := range wanted {
		if b.names[host] == nil {
			n := newName(host, interval)
			b.names[host] = n
			added = append(added, n)
		}
	}
	slices.SortFunc(added, compareNames)
	for _, n := range added {
		life, forget := context.WithCancel(b.life)
		n.forget = forget
		b.running.Go(func() { b.follow(life, n) })
	}
	return added
}

func (b *Book) warnLate(names []*name) {
	var late []string
	for _, n := range names {
		select {
		case <-n.tried:
		default:
			late = append(late, n.host)
		}
	}
	if len(late) == 0 {
		return
	}
	b.log.Warn("names of endpoints have no answer yet: their pools do without them until they have; looking them up goes on",
		"names", late[:min(len(late), maxListed)], "count", len(late), "waited", learnTimeout.String())
}

// Keep makes the given names the only ones, to be looked up at the given
// intervals. What is known of them stays.
func (b *Book) Keep(wanted Hosts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for host, n := range b.names {
		interval, ok := wanted[host]
		switch {
		case !ok:
			n.forget()
			delete(b.names, host)
		case n.interval != interval:
			n.interval = interval
			select {
			case n.hurry <- struct{}{}:
			default: // it will look at the interval anyway
			}
		}
	}
}

// Changed delivers when addresses have changed since [Book.Expand] was called
// last. Several changes may come as one.
func (b *Book) Changed() <-chan struct{} { return b.changed }

// Close ends all look-ups and joins them. A closed book answers from what it
// knew.
func (b *Book) Close() {
	b.end()
	b.running.Wait()
}
