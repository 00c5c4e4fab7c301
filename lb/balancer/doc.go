// Package balancer puts the parts together: the one way to construct a load
// balancer, for production and for the simulator alike. Everything that touches
// the outside is injected.
//
//	b := balancer.New(balancer.Options{Policies: source, Events: events})
//	if err := b.Start(ctx); err != nil {
//		return err // no policy could serve
//	}
//	// …
//	err := b.Shutdown(ctx)
//
// # Ownership
//
// The balancer owns its listeners, its endpoints, their active checks, the look-ups
// of their names and the goroutine that reloads. Shutdown joins everything.
package balancer
