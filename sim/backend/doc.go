// Package backend is a fake flaky backend: an HTTP server that says who it is
// and misbehaves on demand, so that a load balancer in front of it can be seen
// coping.
//
//	b := backend.New(backend.Options{Name: "cart-1", Seed: 42})
//	ln, err := net.Listen("tcp", "127.0.0.1:9001")
//	// …
//	go b.Serve(ctx, ln) // until ctx is done
//	err = b.SetFaults(backend.Faults{Respond: &backend.Respond{Status: 503}})
//
// The same over HTTP, on the backend's own address:
//
//	curl -X PUT    localhost:9001/_fault -d '{"latency": {"p50": "200ms", "p99": "1s"}, "for": "30s"}'
//	curl           localhost:9001/_fault
//	curl -X DELETE localhost:9001/_fault
//
// # What it serves
//
//   - any path: a line of JSON naming the backend, the request's number, path
//     and X-Request-Id, and how many bytes of body came. ?headers=true adds the
//     request's header fields, ?size=N answers N bytes instead, ?chunks=N
//     streams N lines of text, one every ?every=100ms.
//   - /events: server-sent events, one a second (or every ?every=).
//   - /ws: a WebSocket that sends every message back.
//   - /healthz: 200, unless a fault says otherwise.
//   - /_fault: the faults; never itself subject to them.
//
// # Determinism
//
// Whatever is left to chance (latency drawn from a distribution, a share of
// errors, garbage) is drawn from the seed and the request's number, so that
// concurrency does not change what happens to the nth request.
//
// # Limits
//
// Connections, request bodies, response sizes and waits are bounded by the
// constants of this package. Over the connection limit, a new connection is
// closed at once. [Backend.Serve] returns only when every goroutine it caused
// has ended.
package backend
