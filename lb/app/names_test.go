package app_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers every question for an IPv4 address of the name by
// 127.0.0.1, and knows nothing else. Until the test ends, the process asks nobody
// else.
func nameServer(t *testing.T, name string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for buf := make([]byte, 1500); ; {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Header = dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}
			m.Additionals = nil
			switch {
			case !strings.HasPrefix(q.Name.String(), name+"."):
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			if out, err := m.Pack(); err == nil {
				c.WriteTo(out, from)
			}
		}
	})
	t.Cleanup(func() {
		net.DefaultResolver = before
		c.Close()
		serving.Wait()
	})
}

// An endpoint's host name is looked up as the machine does, by DNS for one.
func TestRunResolvesNames(t *testing.T) {
	nameServer(t, "backend.test")
	r := run(t, hello, nil)
	_, port, _ := net.SplitHostPort(r.backend.Listener.Addr().String())
	r.write(policyText("2", "/", "backend.test:"+port))
	r.await("the name is an address", func() bool {
		_, status := r.get(r.admin + "/api/v1/status")
		return strings.Contains(status, `"backend.test"`)
	})
	if code, body := r.get(r.traffic + "/"); code != 200 || body != "hello" {
		t.Errorf("%d %q", code, body)
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}
