package telemetry

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/event"
)

// Feed tells whoever subscribes what happens, when it happens: each request and each
// try as it ends, and every change of breakers, health, policies and sessions. Nobody
// waits for a subscriber: one that is too slow misses something, and is told how much.
// With no subscriber a request costs one atomic load. It must be made with [NewFeed].
type Feed struct {
	watched atomic.Int32 // how many subscribers there are

	mu        sync.Mutex
	all       map[*Subscription]struct{}
	recent    []Told // the last changes, oldest first
	pools     map[event.ID]string
	endpoints map[event.ID]string // addresses
}

const (
	// MostSubscribers is how many a [Feed] has at a time.
	MostSubscribers = 8
	// maxTold is how much waits for a subscriber; a second of a busy balancer.
	maxTold = 1 << 14
	// maxRecent is how many changes a new subscriber is told of that were before.
	maxRecent = 256
)

// ErrSubscribers is what more subscribers than [MostSubscribers] get.
var ErrSubscribers = errors.New("too many subscribers")

// Told is one thing that happened. Kind is request, attempt, breaker, health, panic,
// policy, move, store or missed; Data is its JSON, one line.
type Told struct {
	Kind string
	Data []byte
}

// The data of each kind. Times are UTC with nanoseconds; endpoints are addresses.
type (
	// RequestTold is a request that ended: see [event.Request].
	RequestTold struct {
		Start    time.Time `json:"start"`
		End      time.Time `json:"end"`
		ID       string    `json:"id"`
		Route    string    `json:"route"`
		Pool     string    `json:"pool"`
		Endpoint string    `json:"endpoint"`
		Status   int       `json:"status"`
		Attempts int       `json:"attempts"`
		Flags    string    `json:"flags"`
		Session  string    `json:"session"`
		Policy   string    `json:"policy"`
	}
	// AttemptTold is a try that ended: see [event.Attempt].
	AttemptTold struct {
		Start    time.Time `json:"start"`
		End      time.Time `json:"end"`
		Request  string    `json:"request"`
		Pool     string    `json:"pool"`
		Endpoint string    `json:"endpoint"`
		Number   int       `json:"number"`
		Status   int       `json:"status"`
		Result   string    `json:"result"`
		Resend   string    `json:"resend,omitempty"`
		Probe    bool      `json:"probe"`
		Mirror   bool      `json:"mirror"`
	}
	// BreakerTold is a transition: see [event.BreakerChange].
	BreakerTold struct {
		At       time.Time `json:"at"`
		Pool     string    `json:"pool"`
		Endpoint string    `json:"endpoint"`
		From     string    `json:"from"`
		To       string    `json:"to"`
		Reason   string    `json:"reason"`
	}
	// HealthTold is a change of health: see [event.HealthChange].
	HealthTold struct {
		At       time.Time `json:"at"`
		Pool     string    `json:"pool"`
		Endpoint string    `json:"endpoint"`
		Healthy  bool      `json:"healthy"`
		Reason   string    `json:"reason"`
	}
	// PanicTold is a pool that begins or ceases to ignore health.
	PanicTold struct {
		At   time.Time `json:"at"`
		Pool string    `json:"pool"`
		On   bool      `json:"on"`
	}
	// PolicyTold is a policy that serves or, with an error, that was refused.
	PolicyTold struct {
		At       time.Time `json:"at"`
		Hash     string    `json:"hash"`
		Version  string    `json:"version"`
		LastGood bool      `json:"lastGood"` // the one that was kept serves
		Reason   string    `json:"reason"`   // of a refusal: unreadable | invalid | listen
		Error    string    `json:"error"`    // empty: it serves
	}
	// MoveTold is a session that has another home.
	MoveTold struct {
		At     time.Time `json:"at"`
		Pool   string    `json:"pool"`
		Reason string    `json:"reason"`
	}
	// StoreTold is a shared session store that is given up, or is back.
	StoreTold struct {
		At    time.Time `json:"at"`
		Away  bool      `json:"away"`
		Error string    `json:"error"`
	}
	// MissedTold is how much a subscriber was too slow for.
	MissedTold struct {
		Count uint64 `json:"count"`
	}
)

// NewFeed returns a feed that nobody has subscribed to.
func NewFeed() *Feed {
	return &Feed{all: map[*Subscription]struct{}{}, pools: map[event.ID]string{}, endpoints: map[event.ID]string{}}
}

// Subscription is one subscriber's.
type Subscription struct {
	feed   *Feed
	told   chan Told
	missed atomic.Uint64
}

// Subscribe begins with the latest changes that were before, up to 256: policies,
// breakers, health, not requests. The subscriber must Close it.
func (f *Feed) Subscribe() (*Subscription, error) {
	s := &Subscription{feed: f, told: make(chan Told, maxTold)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) == MostSubscribers {
		return nil, ErrSubscribers
	}
	for _, t := range f.recent {
		s.told <- t
	}
	f.all[s] = struct{}{}
	f.watched.Add(1)
	return s, nil
}

// Told is where it comes; nobody closes the channel.
func (s *Subscription) Told() <-chan Told { return s.told }

// Missed is what was missed since it was last asked, if anything was.
func (s *Subscription) Missed() (t Told, any bool) {
	n := s.missed.Swap(0)
	if n == 0 {
		return t, false
	}
	return told("missed", MissedTold{n}), true
}

// Close ends it.
func (s *Subscription) Close() {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	if _, ok := s.feed.all[s]; ok {
		delete(s.feed.all, s)
		s.feed.watched.Add(-1)
	}
}

func told(kind string, data any) Told {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // it has texts, numbers and times
	}
	return Told{kind, text}
}

// tell tells all; the lock is held.
func (f *Feed) tell(t Told) {
	for s := range f.all {
		select {
		case s.told <- t:
		default:
			s.missed.Add(1)
		}
	}
}

// change tells of a change, and keeps it for who comes later.
func (f *Feed) change(kind string, data any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := told(kind, data)
	if len(f.recent) == maxRecent {
		copy(f.recent, f.recent[1:])
		f.recent = f.recent[:maxRecent-1]
	}
	f.recent = append(f.recent, t)
	f.tell(t)
}

// Events returns the listener that feeds it.
func (f *Feed) Events() *event.Listener {
	return &event.Listener{
		PolicyPrepared: f.prepared,
		PolicyCommitted: func(c *event.Commit) {
			if !c.Refresh {
				f.change("policy", PolicyTold{At: c.At.UTC(), Hash: c.Policy.Hash, Version: c.Policy.Version, LastGood: c.LastGood})
			}
		},
		PolicyRejected: func(x *event.Rejection) {
			why := x.Reason
			if x.Err != nil {
				why = x.Err.Error()
			}
			f.change("policy", PolicyTold{At: x.At.UTC(), Hash: x.Hash, Reason: x.Reason, Error: why})
		},
		RequestEnded: f.ended,
		AttemptEnded: f.tried,
		BreakerChanged: func(c event.BreakerChange) {
			f.change("breaker", BreakerTold{c.At.UTC(), c.PoolName, c.Address, string(c.From), string(c.To), c.Reason})
		},
		HealthChanged: func(c event.HealthChange) {
			f.change("health", HealthTold{c.At.UTC(), c.PoolName, c.Address, c.Healthy, c.Reason})
		},
		PanicChanged: func(c event.PanicChange) {
			f.change("panic", PanicTold{c.At.UTC(), c.PoolName, c.Panic})
		},
		SessionMoved: func(m event.SessionMove) {
			if f.watched.Load() == 0 {
				return
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.tell(told("move", MoveTold{time.Now().UTC(), m.PoolName, string(m.Reason)}))
		},
		SessionStoreChanged: func(c event.SessionStoreChange) {
			why := ""
			if c.Err != nil {
				why = c.Err.Error()
			}
			f.change("store", StoreTold{c.At.UTC(), c.Away, why})
		},
	}
}

func (f *Feed) prepared(c *event.Catalog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range c.Endpoints {
		f.endpoints[e.ID] = e.Address
	}
	for _, list := range [][]event.Named{c.Pools, c.Mirrors} {
		for _, p := range list {
			f.pools[p.ID] = p.Name
		}
	}
}

func (f *Feed) ended(e *event.Request) {
	if f.watched.Load() == 0 {
		return
	}
	t := told("request", RequestTold{
		Start: e.Start.UTC(), End: e.Start.Add(e.Duration).UTC(), ID: string(e.RequestID), Route: e.RouteName, Pool: e.PoolName,
		Endpoint: e.Upstream, Status: e.Status, Attempts: e.Attempts, Flags: e.Flags.String(), Session: e.Session.String(),
		Policy: e.PolicyHash,
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell(t)
}

func (f *Feed) tried(a *event.Attempt) {
	if f.watched.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell(told("attempt", AttemptTold{
		Start: a.Start.UTC(), End: a.Start.Add(a.Duration).UTC(), Request: string(a.RequestID), Pool: f.pools[a.Pool],
		Endpoint: f.endpoints[a.Endpoint], Number: a.Number, Status: a.Status, Result: string(a.Result), Resend: string(a.Resend), Probe: a.Probe, Mirror: a.Mirror,
	}))
}
