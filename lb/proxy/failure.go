package proxy

import (
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
)

// failure is what an upstream error makes of an attempt, and how its request is
// remarked for it.
func failure(err error) (event.Result, event.Flags) {
	switch kindOf(err) {
	case upstream.Aborted:
		return event.Aborted, event.Draining
	case upstream.Overflow:
		return event.Overflowed, event.Overflow
	case upstream.Exhausted:
		return event.Exhausted, event.OutOfResources
	case upstream.Connect:
		return event.ConnectFailed, event.ConnectFailure
	case upstream.Timeout:
		return event.TimedOut, event.UpstreamTimeout
	case upstream.Protocol:
		return event.ProtocolError, event.UpstreamProtocol
	case upstream.Truncated:
		return event.Truncated, event.UpstreamReset
	}
	return event.Reset, event.UpstreamReset
}
