package pool

import "go-loadbalancer/lb/event"

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
		return "every endpoint has as many requests as it may"
	default:
		return "no endpoint takes requests"
	}
}
