package pool

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestFindLooksAtFew: a key's mark on a ring is found by looking at a few, however many
// there are, whatever the weights, and on what is left of a ring too.
func TestFindLooksAtFew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for name, weight := range map[string]func(i int) int{
		"equal":       func(int) int { return 1 },
		"a heavy one": func(i int) int { return 1 + 9999/(1+i) },
		"many":        func(i int) int { return 1 + i%100 },
	} {
		for _, n := range []int{3, 100, 10_000} {
			members, shares := make([]Member, n), make([]float64, n)
			for i := range members {
				members[i] = Member{Endpoint: &Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250)}, Weight: weight(i)}
				shares[i] = float64(i%7) / 6
			}
			whole := newRing(members)
			for part, r := range map[string]*ring{"whole": whole, "part": whole.part(members, shares)} {
				const keys = 100_000
				sum, most := 0, 0
				for range keys {
					key := rnd.Uint64()
					looks := 1 + r.find(key) - int(r.starts[key>>r.shift])
					sum, most = sum+looks, max(most, looks)
				}
				if sum > 3*keys || most > 30 {
					t.Errorf("%s, %d members, %s ring of %d marks: %.1f are looked at, up to %d", name, n, part, len(r.marks), float64(sum)/keys, most)
				}
			}
		}
	}
}
