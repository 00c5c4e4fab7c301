package event

// Tee returns a listener that tells each of the given ones, in order. Nil
// listeners are passed over; a kind of event nobody wants stays nil, so that
// it costs nothing.
func Tee(listeners ...*Listener) *Listener {
	var out Listener
	for _, l := range listeners {
		if l == nil {
			continue
		}
		out.RequestRouted = both(out.RequestRouted, l.RequestRouted)
		out.RequestEnded = both(out.RequestEnded, l.RequestEnded)
		out.AttemptEnded = both(out.AttemptEnded, l.AttemptEnded)
		out.MirrorEnded = both(out.MirrorEnded, l.MirrorEnded)
		out.BreakerChanged = both(out.BreakerChanged, l.BreakerChanged)
		out.HealthChanged = both(out.HealthChanged, l.HealthChanged)
		out.PanicChanged = both(out.PanicChanged, l.PanicChanged)
		out.RetryRefused = both2(out.RetryRefused, l.RetryRefused)
		out.NameResolved = both(out.NameResolved, l.NameResolved)
		out.SessionMoved = both(out.SessionMoved, l.SessionMoved)
		out.SessionRefused = both(out.SessionRefused, l.SessionRefused)
		out.SessionStoreAsked = both(out.SessionStoreAsked, l.SessionStoreAsked)
		out.SessionStoreChanged = both(out.SessionStoreChanged, l.SessionStoreChanged)
		out.PolicyPrepared = both(out.PolicyPrepared, l.PolicyPrepared)
		out.PolicyCommitted = both(out.PolicyCommitted, l.PolicyCommitted)
		out.PolicyRejected = both(out.PolicyRejected, l.PolicyRejected)
		out.EndpointRetired = both(out.EndpointRetired, l.EndpointRetired)
		out.ConnectionOpened = both(out.ConnectionOpened, l.ConnectionOpened)
		out.ConnectionClosed = both2(out.ConnectionClosed, l.ConnectionClosed)
		out.AcceptPaused = both(out.AcceptPaused, l.AcceptPaused)
	}
	return &out
}

func both[A any](f, g func(A)) func(A) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A) { f(a); g(a) }
}

func both2[A, B any](f, g func(A, B)) func(A, B) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}
