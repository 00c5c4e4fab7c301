// Package model is modelled backends: endpoints that take as long as a distribution
// says, serve as many requests a second as they can, and misbehave as a scenario says.
//
//	e := model.New(model.Options{Name: "cart/1", Seed: 42, Latency: scenario.Latency{P50: 5 * time.Millisecond}})
//	e.Serve(listener)
//	slow := e.Begin(&scenario.Fault{Hang: true})
//	// …
//	e.End(slow)
//	fmt.Println(slow.Touched())
//	e.Stop() // and every goroutine has ended
//
// What an endpoint answers has X-Backend, its name, and X-Size, the length of the body
// as it was meant; the body is of package http1's pattern. By that a client knows what
// it was given. Which requests came, and how much of them, is told by [Endpoint.Visits].
//
// An endpoint has a goroutine for each connection and one for the listener; Stop joins
// them. It waits by its connections' own clock, if they have one (memnet's do), so that
// no two endpoints act at one instant; and otherwise by the real one.
package model
