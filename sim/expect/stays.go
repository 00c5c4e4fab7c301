package expect

import (
	"cmp"
	"math"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"go-loadbalancer/lb/event"
)

// stays is what became of clients' sessions, as they saw it.
type stays struct {
	moved, lost []change
}

// change is a session that was answered from another home, or that was begun anew though
// its client had one.
type change struct {
	at      time.Duration
	pool    string
	who     int // a client in a pool
	request int32
}

// sessionChanges are events with whose session each is of.
type sessionChanges struct {
	stream
	who []int
}

// stays goes through the answers in the order in which they ended, since only then has
// the client its ticket. What began before the client had it says nothing, and neither
// does who is served away from home for a while.
func (x *index) stays() *stays {
	if x.stayed != nil {
		return x.stayed
	}
	x.stayed = &stays{}
	var order []int32
	for i := range x.Requests {
		if r := &x.Requests[i]; r.Session > 0 && r.By != "" && r.Sticky != "" && r.Sticky != event.SessionAway.String() {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(x.Requests[a].End, x.Requests[b].End) })
	type key struct {
		client
		pool string
	}
	type at struct {
		who   int
		home  string
		since time.Duration
	}
	all := map[key]*at{}
	for _, i := range order {
		r := &x.Requests[i]
		pool := poolOf(r.By)
		k := key{client{r.Load, r.Session}, pool}
		s, anew := all[k], r.Sticky == event.SessionNew.String()
		switch {
		case s == nil:
			all[k] = &at{len(all), r.By, r.End}
			continue
		case r.Start < s.since && !anew:
			continue
		case r.Start < s.since: // the ticket that came last is the one that is kept
			s.home, s.since = r.By, r.End
			continue
		case anew:
			x.stayed.lost = append(x.stayed.lost, change{r.End, pool, s.who, i})
		}
		if s.home != r.By {
			x.stayed.moved = append(x.stayed.moved, change{r.End, pool, s.who, i})
			s.home, s.since = r.By, r.End
		}
	}
	return x.stayed
}

func (s *stays) moves(pool string) *sessionChanges  { return changesOf(s.moved, pool) }
func (s *stays) losses(pool string) *sessionChanges { return changesOf(s.lost, pool) }

func changesOf(all []change, pool string) *sessionChanges {
	out := &sessionChanges{stream: stream{sum: []int32{0}}}
	for _, c := range all {
		if pool == "" || c.pool == pool {
			out.add(c.at, c.request, true)
			out.who = append(out.who, c.who)
		}
	}
	return out
}

// busiest is how many events of a window are of the one who has most of them.
type busiest struct {
	slide
	who    []int
	times  map[int]int // how many events of the window are of each
	having []int       // how many have so many events
	most   int
	in, to int // the window that is counted
}

func (b *busiest) put(i, n int) {
	before := b.times[b.who[i]]
	b.times[b.who[i]] = before + n
	for len(b.having) <= before+1 {
		b.having = append(b.having, 0)
	}
	b.having[before]--
	b.having[before+n]++
	b.most = max(b.most, before+n)
	for b.most > 0 && b.having[b.most] <= 0 {
		b.most--
	}
}

func (b *busiest) seek(x time.Duration) {
	b.slide.seek(x)
	for ; b.to < b.hi; b.to++ {
		b.put(b.to, 1)
	}
	for ; b.in < b.lo; b.in++ {
		b.put(b.in, -1)
	}
}

func (b *busiest) read(int) reading { return reading{bits: uint64(b.most), events: b.events()} }

func (b *busiest) show(bits uint64) ref.Val { return types.Int(min(bits, math.MaxInt64)) }

// examples are of those who have most.
func (b *busiest) examples(_ time.Duration, n int) (requests []int32) {
	for i := b.lo; i < b.hi && len(requests) < n; i++ {
		if b.times[b.who[i]] == b.most {
			requests = append(requests, b.requests[i])
		}
	}
	return requests
}
