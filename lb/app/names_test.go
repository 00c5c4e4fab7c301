package app_test

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"go-loadbalancer/lb/app"
)

// An endpoint's host name is looked up as the machine does, by DNS for one.
func TestRunResolvesNames(t *testing.T) {
	app.ServeNames(t, func(q dnsmessage.Question, m *dnsmessage.Message) {
		switch {
		case !strings.HasPrefix(q.Name.String(), "backend.test."):
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{app.Address(q, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}})}
		}
	})
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
