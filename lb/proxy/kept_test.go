package proxy

import (
	"sync/atomic"
	"testing"

	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/wire"
)

// A body is kept up to its bound, and while all together are within theirs. Whatever
// became of it, nothing of it counts afterwards.
func TestKept(t *testing.T) {
	for name, x := range map[string]struct {
		others int64 // bytes kept of other bodies
		pieces []int
		lost   bool
	}{
		"as large as may be":   {0, []int{1, keptBody - 1}, false},
		"a byte too large":     {0, []int{1, keptBody}, true},
		"the last that fits":   {keptBytes - 30, []int{10, 20}, false},
		"a byte more than all": {keptBytes - 30, []int{10, 21}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var held atomic.Int64
			held.Store(x.others)
			var k kept
			k.begin(true, &held)
			whole := 0
			for _, n := range x.pieces {
				k.add(make([]byte, n))
				whole += n
			}
			if k.lost != x.lost || !x.lost && len(k.body) != whole {
				t.Errorf("lost: %v, %d bytes are kept of %d", k.lost, len(k.body), whole)
			}
			if n := held.Load() - x.others; n != int64(len(k.body)) {
				t.Errorf("%d bytes count, %d are kept", n, len(k.body))
			}
			k.reset()
			if n := held.Load(); n != x.others {
				t.Errorf("%d bytes count when it is over, %d of others", n, x.others)
			}
		})
	}
}

// A body that is known to be too large takes no memory from others to begin with.
func TestKeeps(t *testing.T) {
	for length, want := range map[int64]bool{keptBody: true, keptBody + 1: false} {
		c := &call{route: &snapshot.Route{}, req: &wire.Request{Method: []byte("PUT"), Framing: wire.Sized, Length: length}}
		if c.keeps() != want {
			t.Errorf("%d bytes: kept: %v, want %v", length, !want, want)
		}
	}
}
