package snapshot

import (
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/ratelimit"
)

// RateLimit is how many requests a route lets through for each key.
type RateLimit struct {
	*ratelimit.Limiter
	// Header is the name, in lower case, of the field whose value is the key;
	// empty: the client's address is.
	Header string
}

// RateKey is what a rate limit counts by.
type RateKey = ratelimit.Key

func newRateLimit(r *policy.RateLimit) *RateLimit {
	if r == nil {
		return nil
	}
	out := &RateLimit{Limiter: ratelimit.New(r.Requests, r.Per, r.Burst)}
	if r.Key == "Header" {
		out.Header = strings.ToLower(r.Header)
	}
	return out
}

// keepBuckets has routes with a rate limit go on with what the keys of the route
// of their name have left in the snapshot that serves, which may be nil.
func (s *Snapshot) keepBuckets(serving *Snapshot) {
	if serving == nil {
		return
	}
	limits := make(map[string]*RateLimit, len(serving.Routes))
	for _, r := range serving.Routes {
		if r.RateLimit != nil {
			limits[r.Name] = r.RateLimit
		}
	}
	for _, r := range s.Routes {
		if was := limits[r.Name]; was != nil && r.RateLimit != nil && r.RateLimit.Header == was.Header {
			r.RateLimit.Adopt(was.Limiter)
		}
	}
}
