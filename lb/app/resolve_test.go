package app

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestReachable(t *testing.T) {
	const loopback = "127.0.0.1/8 ::1/128"
	for name, c := range map[string]struct{ own, found, want string }{
		"IPv4 alone":              {loopback + " 10.1.0.2/24", "192.0.2.1 2001:db8::1", "192.0.2.1"},
		"a link is no way out":    {loopback + " 10.1.0.2/24 fe80::2/64", "192.0.2.1 2001:db8::1", "192.0.2.1"},
		"IPv6 alone":              {loopback + " 2001:db8:2::2/64", "192.0.2.1 ::ffff:192.0.2.2 2001:db8::1", "2001:db8::1"},
		"both":                    {loopback + " 10.1.0.2/24 fd00::2/64", "192.0.2.1 2001:db8::1", "192.0.2.1 2001:db8::1"},
		"mapped":                  {loopback + " 10.1.0.2/24", "::ffff:192.0.2.1 2001:db8::1", "::ffff:192.0.2.1"},
		"loopback needs no way":   {loopback, "127.0.0.1 ::1 2001:db8::1", "127.0.0.1 ::1"},
		"better all than nothing": {loopback + " 10.1.0.2/24", "2001:db8::1 2001:db8::2", "2001:db8::1 2001:db8::2"},
		"nothing found":           {loopback + " 10.1.0.2/24", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var own []net.Addr
			for _, text := range strings.Fields(c.own) {
				ip, n, err := net.ParseCIDR(text)
				if err != nil {
					t.Fatal(err)
				}
				own = append(own, &net.IPNet{IP: ip, Mask: n.Mask})
			}
			parse := func(text string) (out []netip.Addr) {
				for _, ip := range strings.Fields(text) {
					out = append(out, netip.MustParseAddr(ip))
				}
				return out
			}
			if got, want := reachable(parse(c.found), own), parse(c.want); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// The hosts file of every machine has localhost.
func TestResolve(t *testing.T) {
	found, ttl, err := resolve(t.Context(), "localhost")
	if err != nil || ttl != 0 || !slices.ContainsFunc(found, func(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }) {
		t.Errorf("%v, %v, %v", found, ttl, err)
	}
}

// A name server in trouble with the question for one IP version gives no answer:
// the addresses of the other version alone would replace all there were. That a
// name has none of a version is an answer.
func TestResolveWhole(t *testing.T) {
	var broken atomic.Uint32 // the type of question that fails
	ServeNames(t, func(q dnsmessage.Question, m *dnsmessage.Message) {
		name, _, _ := strings.Cut(q.Name.String(), ".")
		switch {
		case q.Type == dnsmessage.Type(broken.Load()):
			m.RCode = dnsmessage.RCodeServerFailure
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{Address(q, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 2}})}
		case q.Type == dnsmessage.TypeAAAA && name == "both":
			m.Answers = []dnsmessage.Resource{Address(q, &dnsmessage.AAAAResource{AAAA: [16]byte{15: 1}})}
		}
	})
	for _, c := range []struct {
		host   string
		broken dnsmessage.Type
		want   string // empty: an error
	}{
		{"both.test", 0, "127.0.0.2 ::1"},
		{"both.test", dnsmessage.TypeA, ""},
		{"both.test", dnsmessage.TypeAAAA, ""},
		{"four.test", 0, "127.0.0.2"},
		{"four.test", dnsmessage.TypeAAAA, ""},
	} {
		broken.Store(uint32(c.broken))
		found, _, err := resolve(t.Context(), c.host)
		slices.SortFunc(found, func(a, b netip.Addr) int { return a.Unmap().Compare(b.Unmap()) })
		var got []string
		for _, ip := range found {
			got = append(got, ip.Unmap().String())
		}
		if text := strings.Join(got, " "); text != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s, failing %v: %q, %v; want %q", c.host, c.broken, text, err, c.want)
		}
	}
}
