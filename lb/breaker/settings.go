package breaker

import "time"

// Settings are a breaker's thresholds. It trips on ConsecutiveFailures or on
// FailurePercent, whichever comes first.
type Settings struct {
	// ConsecutiveFailures is how many failures in a row trip it, however far
	// apart they are. 0: off.
	ConsecutiveFailures int
	// FailurePercent is the share of failures among the results of the last
	// Interval that trips it, 1 to 100. 0: off.
	FailurePercent int
	// MinRequests is how many results there must be in Interval before
	// FailurePercent is looked at.
	MinRequests int
	// Interval is the length of FailurePercent's window, which moves on in
	// steps of a tenth. 0: everything since the breaker closed.
	Interval time.Duration
	// OpenDuration is how long it stays open the first time.
	OpenDuration time.Duration
	// MaxOpenDuration is what that may grow to: it doubles each time the breaker
	// opens again, until it stayed closed for as long as this. 0, or anything
	// shorter than OpenDuration: it does not grow.
	MaxOpenDuration time.Duration
	// HalfOpenRequests is how many probes are let through at once while
	// half-open, and how many successes close it. Below 1 counts as 1.
	HalfOpenRequests int
}

// CanTrip says whether any threshold is set.
func (s Settings) CanTrip() bool { return s.ConsecutiveFailures > 0 || s.FailurePercent > 0 }

func (s *Settings) halfOpenRequests() int { return max(1, s.HalfOpenRequests) }

func (s *Settings) maxOpenDuration() time.Duration { return max(s.OpenDuration, s.MaxOpenDuration) }

// openFor is how long it stays open the n-th time in a row, n from 1.
func (s *Settings) openFor(n int) time.Duration {
	if most := s.maxOpenDuration(); s.OpenDuration > most>>(n-1) {
		return most
	}
	return s.OpenDuration << (n - 1)
}

// trips names the threshold that is reached; empty if none is.
func (s *Settings) trips(consecutive int32, successes, failures uint32) string {
	if s.ConsecutiveFailures > 0 && int(consecutive) >= s.ConsecutiveFailures {
		return ConsecutiveFailures
	}
	n := uint64(successes) + uint64(failures)
	if s.FailurePercent > 0 && n >= uint64(max(1, s.MinRequests)) &&
		uint64(failures)*100 >= uint64(s.FailurePercent)*n {
		return FailurePercent
	}
	return ""
}
