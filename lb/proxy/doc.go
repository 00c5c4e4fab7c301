// Package proxy is the request path: match a route, pick an endpoint, ask its
// breaker, send, judge what came back, reply.
//
//	p := proxy.New(proxy.Options{Current: current, Events: events})
//	srv := server.New(server.Options{Handler: p})
//
// It works on an [Exchange] and an upstream.Stream, and knows neither sockets
// nor the protocol either is carried by.
//
// # Order of one request
//
// The snapshot is loaded once, so that one policy serves the whole request. The
// route's filters are applied to a list of fields that the stream encodes; the
// heads received are never changed. A request without a body, or with one that
// is buffered whole, is sent and its response read by the goroutine of its
// connection. A body that streams is sent by a second goroutine, the uplink,
// joined before Serve returns.
//
// A client's departure is not looked for until a response is a few milliseconds
// late; then the uplink watches. A client that leaves cancels the upstream
// request, and says nothing about the endpoint.
//
// # Copies
//
// A route may have some of its requests copied to another pool. Each copy owns its
// bytes and runs in a goroutine of its own, which may outlive the request: those
// belong to the Proxy, whose owner calls StopMirrors and Close.
//
// # Under overload
//
// A request for whose pool there is no room waits in the pool's queue, if that has a
// place, for as long as the policy lets it; any other that cannot be sent is answered
// at once. A copy that would be one too many is not made, and none waits.
package proxy
