package proxy

import (
	"errors"
	"testing"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/upstream"
)

// What an attempt came to, for each kind of error: by that its endpoint is judged. What is
// the balancer's own doing, and its limits', must not be taken for a failure to connect.
func TestFailure(t *testing.T) {
	for kind, want := range map[upstream.Kind]event.Result{
		upstream.Connect: event.ConnectFailed, upstream.Timeout: event.TimedOut, upstream.Reset: event.Reset,
		upstream.Truncated: event.Truncated, upstream.Protocol: event.ProtocolError, upstream.Stale: event.Reset,
		upstream.Exhausted: event.Exhausted, upstream.Overflow: event.Overflowed, upstream.Aborted: event.Aborted,
	} {
		if got, _ := failure(&upstream.Error{Kind: kind, Err: errors.New("cause")}); got != want {
			t.Errorf("%v: %q, want %q", kind, got, want)
		}
	}
}
