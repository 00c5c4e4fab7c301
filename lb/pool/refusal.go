package pool

import (
	"time"

	"go-loadbalancer/lb/breaker"
	"go-loadbalancer/lb/event"
)

// Refusal says why no endpoint was picked.
type Refusal uint8

const (
	None         Refusal = iota // one was
	NoEndpoints                 // the pool has none, or all drain or have weight 0
	NoneHealthy                 // none is healthy
	BreakersOpen                // of those left, every breaker refuses
	AllFull                     // of those left, each has as many requests as it may
	QueueTimeout                // so it was, for as long as a request may wait
)

// Flags is the refusal as the access log writes it.
func (r Refusal) Flags() event.Flags {
	switch r {
	case None:
		return 0
	case BreakersOpen:
		return event.BreakersOpen
	case AllFull:
		return event.Overflow
	case QueueTimeout:
		return event.QueueTimeout
	default:
		return event.NoEndpoint
	}
}

// Final says whether waiting would not have helped: another policy may.
func (r Refusal) Final() bool { return r != AllFull && r != QueueTimeout }

// String is a sentence for the client.
func (r Refusal) String() string {
	switch r {
	case None:
		return ""
	case NoneHealthy:
		return "no endpoint is healthy"
	case BreakersOpen:
		return "every circuit breaker is open"
	case AllFull, QueueTimeout:
		return "as many requests are under way as may be"
	default:
		return "no endpoint takes requests"
	}
}

// outlook is what a pool has to say that refuses a request.
type outlook struct {
	why  Refusal
	next time.Time // when the first of its breakers that refuse lets a probe through; zero: none refuses
}

// refusal says why Pick found nothing.
func (p *Pool) refusal() Refusal { return p.lookOut().why }

// RetryAfter is how long until the first of the pool's breakers that refuse lets a
// probe through, of endpoints that would be picked but for that; 0 if there is none.
// One whose probes are under way may at any moment. For the Retry-After of a refusal.
func (p *Pool) RetryAfter() time.Duration {
	next := p.lookOut().next
	if next.IsZero() {
		return 0
	}
	return max(0, time.Until(next))
}

func (p *Pool) lookOut() outlook {
	if p.outlook == nil {
		return p.look()
	}
	return p.outlook.get(p.look)
}

// look looks at every endpoint.
func (p *Pool) look() outlook {
	o := outlook{why: NoEndpoints}
	for i := range p.tiers {
		for j := range p.tiers[i].members {
			e := p.tiers[i].members[j].Endpoint
			if flags := e.flags.Load(); !p.available(flags) {
				if flags&draining == 0 && o.why == NoEndpoints {
					o.why = NoneHealthy
				}
				continue
			}
			if o.why != AllFull {
				o.why = BreakersOpen
			}
			b := e.breaker.Load()
			if e.limit.Load() != noLimit &&
				// One that was full need not be so any more. To wait for one that would
				// be refused by its breaker is of no use.
				(b.Admits(breaker.Unwilling) || e.full() && b.Admits(breaker.Willing)) {
				o.why = AllFull
			}
			state, next := b.State()
			if state == breaker.HalfOpen {
				next = time.Now()
			}
			if !next.IsZero() && (o.next.IsZero() || next.Before(o.next)) {
				o.next = next
			}
		}
	}
	return o
}
