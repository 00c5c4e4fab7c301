package telemetry

import (
	"sync/atomic"

	"go-loadbalancer/lb/event"
)

// sampler decides which requests are logged. Until it is told, all are.
type sampler struct {
	settings atomic.Pointer[event.AccessLog]
	count    atomic.Uint64
}

func (s *sampler) set(a event.AccessLog) { s.settings.Store(&a) }

func (s *sampler) wants(e *event.Request) bool {
	a := s.settings.Load()
	switch {
	case a == nil || a.Sample >= 1:
		return true
	case a.AlwaysErrors && failed(e):
		return true
	case a.AlwaysSlow && e.Duration > a.SlowerThan:
		return true
	case a.Sample <= 0:
		return false
	}
	// The same requests are chosen in every run, yet in no pattern that regular
	// traffic could fall in step with.
	return float64(mix(s.count.Add(1))>>11)/(1<<53) < a.Sample
}

// failure are the flags of a request that we or the endpoint failed, whatever
// its status says: a response cut short has that of a good one.
const failure = event.NoEndpoint | event.BreakersOpen | event.Overflow | event.ConnectFailure |
	event.UpstreamReset | event.UpstreamTimeout | event.UpstreamProtocol | event.Draining | event.QueueTimeout |
	event.InternalError

func failed(e *event.Request) bool { return e.Status >= 500 || e.Flags&failure != 0 }

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
