package app

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// resolve looks a host name up as every program of the machine does: hosts file,
// search list, name servers. How long the answer is valid is not told by it. An
// answer for one IP version alone, because the other question met trouble, is an
// error: it would replace addresses that serve.
func resolve(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
	system := net.DefaultResolver
	strict := net.Resolver{StrictErrors: true, PreferGo: system.PreferGo, Dial: system.Dial}
	found, err := strict.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, 0, err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return found, 0, nil // then breakers find out what cannot be reached
	}
	return reachable(found, own), 0, nil
}

// reachable leaves out the addresses of an IP version by which this machine can
// reach nobody, as AI_ADDRCONFIG of getaddrinfo does (RFC 3493 section 6.1): each
// would be an endpoint that never answers. If none were left, all stay.
func reachable(found []netip.Addr, own []net.Addr) []netip.Addr {
	var v4, v6 bool
	for _, a := range own {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		if prefix.Addr().Unmap().Is4() {
			v4 = true
		} else {
			v6 = true
		}
	}
	out := slices.DeleteFunc(slices.Clone(found), func(ip netip.Addr) bool {
		ip = ip.Unmap()
		return !ip.IsLoopback() && !(ip.Is4() && v4 || ip.Is6() && v6)
	})
	if len(out) == 0 {
		return found
	}
	return out
}
