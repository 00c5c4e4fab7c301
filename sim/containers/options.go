package containers

import (
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// Stage is what runs of this package are of.
const Stage = "containers"

// What images are called by default.
const (
	DefaultImage = "go-loadbalancer:enterprise"
	DefaultRedis = "redis:7-bookworm"
)

// Options say what to play with.
type Options struct {
	// Image has lb and sim; empty: [DefaultImage].
	Image string
	// Redis is its image; empty: [DefaultRedis].
	Redis string
}

// Cannot says why a fault cannot be made on containers; empty: it can.
func Cannot(f *scenario.Fault) string {
	if f.Clock != 0 {
		return "the wall clock of a container is the machine's, which is left alone"
	}
	return stage.Cannot(f)
}
