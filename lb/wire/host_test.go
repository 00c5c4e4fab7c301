package wire_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"go-loadbalancer/lb/wire"
)

// TestIPv6Hosts: what may be between brackets is what net/netip takes for an IPv6
// address without a zone.
func TestIPv6Hosts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"0", "1", "fe80", "ABCD", "00000", "g", ":", "::", "1:2:3:", "4:5:6:7", "1.2.3.4", "255", "256", "01", ".", "%", ""}
	addresses := 0
	for range 200_000 {
		var b strings.Builder
		for range 1 + random.IntN(7) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		addr, err := netip.ParseAddr(b.String())
		want := err == nil && addr.Is6() && addr.Zone() == ""
		if want {
			addresses++
		}
		if got := wire.ValidHost([]byte("[" + b.String() + "]")); got != want {
			t.Fatalf("[%s]: %v, net/netip: %v", b.String(), got, err)
		}
	}
	if addresses < 1000 {
		t.Errorf("only %d addresses were tried", addresses)
	}
}
