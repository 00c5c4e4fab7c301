// Package server is the clients' side: it accepts connections on one listener
// and hands every request on them to a [Handler] as an exchange.
//
//	s := server.New(server.Options{Listener: l, Settings: settings, Handler: proxy})
//	s.Start()
//	// …
//	err := s.Shutdown(ctx)
//
// # Ownership
//
// One goroutine accepts, and each connection has one of its own; Shutdown joins
// them all. A connection that waits for its next request holds no buffer and
// nothing of its last request.
//
// A connection that reaches its age ends with a reply that says so, or while it
// waits; what is under way is never cut by it.
//
// # Under overload
//
// A connection beyond the listener's limit, its address's or the quota is closed
// as soon as it is accepted. Out of file descriptors, accepting pauses until one
// is free. Whatever a client does slowly has a timeout: a head, the next piece of
// a body, the reading of a response, the next request; bodies and responses have
// a least rate too. Why a connection ended is told as an [event.CloseReason], one
// for each of these.
package server
