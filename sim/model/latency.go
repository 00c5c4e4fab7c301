package model

import (
	"math"
	"math/rand/v2"
	"time"

	"go-loadbalancer/sim/scenario"
)

// longest is more than anybody waits.
const longest = time.Hour

// draw is the latency of one request.
func draw(l scenario.Latency, r *rand.Rand) time.Duration {
	if l.P99 <= l.P50 || l.P50 <= 0 {
		return l.P50
	}
	const z99 = 2.3263478740408408 // the standard normal's 99th percentile
	sigma := math.Log(float64(l.P99)/float64(l.P50)) / z99
	return time.Duration(min(float64(l.P50)*math.Exp(sigma*r.NormFloat64()), float64(longest)))
}
