package pool

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go-loadbalancer/lb/policy"
)

// budget says how many retries a pool may make, so that when everything fails
// retries do not make it worse. It is a bucket of tokens, one of them a retry:
// each request adds percent/100 to it and each second min, and it holds what is
// added in one second at the pool's present rate of requests.
//
// So over any time of W seconds with R requests there are no more retries than
//
//	percent/100·R + min·W + one second's worth
//
// where one second's worth is min + percent/100·(requests a second when that time
// began), or one retry if that is less. The kind and the defaults (20% and 10 a
// second) are Finagle's (RetryBudget); why: Beyer et al., Site Reliability
// Engineering, 2016, chapter 21, "Retries". Finagle lets a bucket fill for ten
// seconds; here a quiet time saves up nothing but one second's worth, for a burst
// of retries is what is to be prevented.
type budget struct {
	mu      sync.Mutex
	percent float64
	min     float64   // a second
	at      time.Time // when the rest was found out; zero: never set
	seen    int64     // requests by then
	rate    float64   // requests a second, of about the last one
	tokens  float64
}

// Requested counts a request of the pool: it adds to what may be retried. It is
// called once for each request, and not for its retries.
func (p *Pool) Requested() { p.group.requested.Add(1) }

// Retry takes a retry out of the pool's budget, or returns false if there is
// none left.
func (p *Pool) Retry() bool {
	return p.group.budget.withdraw(&p.group.requested)
}

// set changes what is added from now on. What is saved up stays, as far as the
// new settings would have saved it.
func (b *budget) set(to *policy.RetryBudget, requested *atomic.Int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.at.IsZero()
	b.accrue(requested.Load())
	b.percent, b.min = to.Percent, float64(to.MinRetriesPerSecond)
	if first {
		b.tokens = b.min
	}
}

func (b *budget) withdraw(requested *atomic.Int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accrue(requested.Load())
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// left is how many retries may be made by now.
func (b *budget) left(requested *atomic.Int64) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accrue(requested.Load())
	return b.tokens
}

// accrue adds what has come together since the last time.
func (b *budget) accrue(requested int64) {
	now := time.Now()
	came, took := float64(requested-b.seen), now.Sub(b.at).Seconds()
	if b.at.IsZero() {
		came, took = 0, 0
	}
	b.at, b.seen = now, requested
	b.tokens += b.percent/100*came + b.min*took
	// The rate is a count of requests that forgets each of them exponentially, by
	// a time constant of one second. Those since the last time are taken to have
	// come evenly.
	if took > 0 {
		kept := math.Exp(-took)
		b.rate *= kept
		came *= (1 - kept) / took
	}
	b.rate += came
	b.tokens = min(b.tokens, b.most())
}

// most is one second's worth. A pool of few requests saves up for a retry longer
// than that.
func (b *budget) most() float64 {
	if b.percent == 0 && b.min == 0 {
		return 0
	}
	return max(1, b.min+b.percent/100*b.rate)
}
