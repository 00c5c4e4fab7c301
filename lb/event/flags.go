package event

import "math/bits"

// Flags is a set of remarks on how a request went, written as response_flags
// in the access log. The short names are Envoy's where Envoy has one
// (https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage).
type Flags uint32

const (
	NoRoute            Flags = 1 << iota // NR: no route matched
	NoEndpoint                           // UH: no endpoint was eligible
	BreakersOpen                         // CB: of the endpoints left, every breaker refused
	Overflow                             // UO: a limit of the pool was reached
	ConnectFailure                       // UF: no upstream connection
	UpstreamReset                        // UC: the upstream connection broke
	UpstreamTimeout                      // UT: the upstream was too slow
	UpstreamProtocol                     // UPE: the upstream did not speak HTTP
	DownstreamGone                       // DC: the client left
	DownstreamProtocol                   // DPE: the request was malformed
	DownstreamTimeout                    // DT: the client was too slow
	Retried                              // RT: tried more than once
	Draining                             // DR: broken off because the endpoint's drain, or the balancer's, took too long
	Redirected                           // RD: answered by a redirect filter
	Upgraded                             // UG: became a tunnel
	OutOfResources                       // OM: the balancer had no descriptor or memory for an upstream connection
	QueueTimeout                         // QT: it waited in the pool's queue for too long
	RateLimited                          // RL: its route's rate limit was reached
	PanicMode                            // PM: so few endpoints were healthy that health was ignored
	RetryRefused                         // RB: it would have been tried again, but the pool's retry budget was used up
	Resent                               // RS: sent once more within an attempt, since the kept connection to the endpoint had been closed
	InternalError                        // IE: a mistake of the balancer's broke it off
)

var flagNames = [...]string{"NR", "UH", "CB", "UO", "UF", "UC", "UT", "UPE", "DC", "DPE", "DT", "RT", "DR", "RD", "UG", "OM", "QT", "RL", "PM", "RB", "RS", "IE"}

// EachFlag lists every flag by itself, in the order of their bits, for consumers
// that keep an array of them.
var EachFlag = func() (all []Flags) {
	for i := range flagNames {
		all = append(all, 1<<i)
	}
	return all
}()

// AppendTo appends the short names, separated by commas, to b; nothing if the
// set is empty.
func (f Flags) AppendTo(b []byte) []byte {
	for first := true; f != 0; f &= f - 1 {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, flagNames[bits.TrailingZeros32(uint32(f))]...)
	}
	return b
}

func (f Flags) String() string { return string(f.AppendTo(nil)) }
