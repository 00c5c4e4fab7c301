package server_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
	"go-loadbalancer/lb/server"
)

// from is a connection that says it comes from an address of the test's choice.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// One address has no more connections than its share, whatever becomes of them;
// an IPv6 network counts as one address, and trusted proxies do not count.
func TestConnectionsPerAddress(t *testing.T) {
	h := pipetest.Listen()
	set := settings()
	set.MaxPerAddress = 2
	set.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	closed := make(chan event.CloseReason, 1)
	s := server.New(server.Options{Listener: h, Settings: set, Handler: handler(hello), Events: &event.Listener{
		ConnectionClosed: func(_ string, why event.CloseReason) { closed <- why },
	}})
	s.Start()
	var open []net.Conn
	// come makes a connection and reports whether it is served.
	come := func(addr string) bool {
		t.Helper()
		near, far := net.Pipe()
		h.Bring(from{near, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))})
		answered := make(chan bool, 1)
		go func() {
			far.SetDeadline(time.Now().Add(patience))
			if _, err := far.Write([]byte(get)); err != nil {
				answered <- false
				return
			}
			_, err := far.Read(make([]byte, 1000))
			answered <- err == nil
		}()
		if <-answered {
			open = append(open, far)
			return true
		}
		if why := <-closed; why != event.ClosedCrowded {
			t.Errorf("%s: closed for %q", addr, why)
		}
		return false
	}
	for _, c := range []struct {
		addr   string
		served bool
	}{
		{"192.0.2.1:1", true}, {"192.0.2.1:2", true}, {"192.0.2.1:3", false},
		{"[::ffff:192.0.2.1]:4", false}, {"192.0.2.2:1", true},
		{"[2001:db8::1]:1", true}, {"[2001:db8::ffff:2]:1", true}, {"[2001:db8::3]:1", false}, {"[2001:db8:0:1::1]:1", true},
		{"10.1.2.3:1", true}, {"10.1.2.3:2", true}, {"10.1.2.3:3", true},
		{"[2001:db8:f::1]:1", true}, {"[2001:db8:f::1]:2", true}, {"[2001:db8:f::1]:3", true},
	} {
		if got := come(c.addr); got != c.served {
			t.Errorf("%s: served %t, want %t", c.addr, got, c.served)
		}
	}
	// Room is made by one that ends, and by a policy.
	open[0].Close()
	<-closed
	if !come("192.0.2.1:5") || come("192.0.2.1:6") {
		t.Error("one connection ended, and not one more is served")
	}
	set.MaxPerAddress = 0
	s.Update(set)
	if !come("192.0.2.1:7") {
		t.Error("refused without a limit")
	}
	for _, c := range open[1:] {
		c.Close()
		if why := <-closed; why != event.ClosedByClient {
			t.Errorf("closed for %q", why)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if n := s.Origins(); n != 0 {
		t.Errorf("%d addresses are still counted", n)
	}
}

// BenchmarkOrigin is what counting by address costs a connection.
func BenchmarkOrigin(b *testing.B) {
	addrs := make([]netip.Addr, 1<<14)
	for i := range addrs {
		addrs[i] = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i), 15: 1})
	}
	count := server.NewCrowd()
	i := 0
	for b.Loop() {
		count(addrs[i&(1<<14-1)], addrs[(i-1000)&(1<<14-1)])
		i++
	}
}

// Servers that share a quota have no more connections together.
func TestQuota(t *testing.T) {
	quota := server.NewQuota(3)
	closed := make(chan event.CloseReason, 10)
	var servers []*server.Server
	var halls []*pipetest.Listener
	for range 2 {
		h := pipetest.Listen()
		s := server.New(server.Options{Listener: h, Settings: settings(), Handler: handler(hello), Quota: quota, Events: &event.Listener{
			ConnectionClosed: func(_ string, why event.CloseReason) { closed <- why },
		}})
		s.Start()
		servers, halls = append(servers, s), append(halls, h)
	}
	one, two, three := halls[0].Dial(), halls[0].Dial(), halls[1].Dial()
	for _, h := range halls {
		h.Dial()
		if why := <-closed; why != event.ClosedOverLimit {
			t.Errorf("closed for %q", why)
		}
	}
	one.Close()
	<-closed
	four := halls[1].Dial()
	four.SetDeadline(time.Now().Add(patience))
	four.Write([]byte(get))
	if _, err := four.Read(make([]byte, 1000)); err != nil {
		t.Errorf("one connection ended, and not one more is served: %v", err)
	}
	for _, c := range []net.Conn{two, three, four} {
		c.Close()
	}
	for _, s := range servers {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
