package reload

import (
	"context"
	"slices"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/policy"
)

// refresh compiles the policy that serves once more, with the addresses that its
// endpoints' names have now. Endpoints that stay keep their state and those that
// are gone drain, as by any reload; but it is none: no policy was read, none is
// refused, and none is kept. It reports false if that is to be tried again: names
// that stay as they are now would tell of no change any more.
func (r *Reloader) refresh(ctx context.Context) bool {
	if r.policy == nil || sameEndpoints(r.names.Expand(r.policy).Pools, r.current.Load().Policy.Pools) {
		return true // a reload was quicker, or they changed back
	}
	began := time.Now()
	serving := r.serving.Load()
	c := &candidate{policy: r.policy, hosts: r.hosts, bundle: Bundle{Revision: serving.Revision}}
	if _, err := r.ready(ctx, c); err != nil {
		r.log.Error("the new addresses of names are not used: those before them serve on; it is tried again", "error", err, "after", refreshAgain.String())
		return false
	}
	changes := c.staged.Commit(r.current, serving.LoadedAt)
	at := time.Now()
	c.prepared.Commit()
	r.catalog = c.catalog
	r.log.Info("new addresses of names serve", "hash", serving.Hash, "took", at.Sub(began),
		"endpointsKept", changes.Kept, "endpointsAdded", changes.Added, "endpointsRemoved", changes.Removed)
	r.tell(&event.Commit{
		Catalog: r.catalog, At: at, Took: at.Sub(began), LastGood: serving.LastGood, Refresh: true,
		Kept: changes.Kept, Added: changes.Added, Removed: changes.Removed,
	})
	return true
}

// sameEndpoints compares two compilations of one policy.
func sameEndpoints(a, b []policy.Pool) bool {
	return slices.EqualFunc(a, b, func(a, b policy.Pool) bool { return slices.Equal(a.Endpoints, b.Endpoints) })
}
