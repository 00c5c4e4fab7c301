package pool

// Requested counts a request of the pool: it adds to what may be retried.
func (p *Pool) Requested() {}

// Retry takes a retry out of the pool's budget, or returns false if there is
// none left.
func (p *Pool) Retry() bool { return true }
