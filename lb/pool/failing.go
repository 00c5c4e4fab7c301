package pool

// How much of what was asked of an endpoint lately failed is kept in the high bits
// of its flags: a moving average over about eight attempts, 0 for none and 255 for
// all. So the endpoint that never fails costs a look at its flags, and no store.
const (
	failuresShift = 8
	failuresMost  = 255
	failuresSpan  = 8

	// failing is the average's three highest bits: which eighth it is in. Endpoints
	// in the same eighth are taken to fail alike.
	failing uint32 = 7 << (failuresShift + 5)
)

// failed notes an attempt that failed.
func (e *Endpoint) failed() {
	e.remember(func(n uint32) uint32 { return n + (failuresMost-n+failuresSpan-1)/failuresSpan })
}

// succeeded notes one that did not.
func (e *Endpoint) succeeded() {
	if e.flags.Load()>>failuresShift != 0 {
		e.forgive()
	}
}

func (e *Endpoint) forgive() {
	e.remember(func(n uint32) uint32 { return n - (n+failuresSpan-1)/failuresSpan })
}

func (e *Endpoint) remember(f func(uint32) uint32) {
	for {
		flags := e.flags.Load()
		next := flags&(1<<failuresShift-1) | f(flags>>failuresShift)<<failuresShift
		if flags == next || e.flags.CompareAndSwap(flags, next) {
			return
		}
	}
}
