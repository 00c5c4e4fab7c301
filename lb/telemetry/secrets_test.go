package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/telemetry"
)

// one is a source of a policy that never changes.
type one string

func (p one) Read(context.Context) (reload.Bundle, error) {
	return reload.Bundle{Files: map[string][]byte{"policy.yaml": []byte(p)}}, nil
}

func (p one) Changed() <-chan struct{} { return nil }

// TestAccessLogHasNoCookies plays two requests of a session through a whole balancer:
// neither what the client sends, in its cookies or in a query by the cookie's name,
// nor what it is given by the endpoint or by the balancer, is in the log.
func TestAccessLogHasNoCookies(t *testing.T) {
	var got []string // by the endpoint
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, strings.Join(r.Header.Values("Cookie"), "; ")+" "+r.URL.RawQuery)
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "given-by-endpoint"})
	}))
	defer endpoint.Close()
	var log bytes.Buffer
	access := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(&log)})
	if err := access.Start(); err != nil {
		t.Fatal(err)
	}
	b := balancer.New(balancer.Options{Events: access.Events(), Policies: one(fmt.Sprintf(`
apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: "1"}
spec:
  accessLog: {sample: 1}
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: all, backendRefs: [{pool: main}]}]
  pools:
    - name: main
      sessionPersistence: {store: Memory, cookie: {name: lb_session}}
      endpoints: [{address: %q}]
`, endpoint.Listener.Addr()))})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	sent := []*http.Cookie{{Name: "lb_session", Value: "made-up-session"}, {Name: "other", Value: "other-cookie"}}
	secrets := []string{"sent-in-the-query", "made-up-session", "other-cookie"}
	for range 2 {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+b.Addr("http").String()+"/cart?a=1&lb_session=sent-in-the-query", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range sent {
			r.AddCookie(c)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		sent = resp.Cookies() // of a session too, which the next request brings back
		for _, c := range sent {
			secrets = append(secrets, c.Value)
		}
	}
	transport.CloseIdleConnections()
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	closeLog(t, access)
	if len(got) != 2 || !strings.Contains(got[0], "other-cookie") || !strings.Contains(got[1], "given-by-endpoint") || !strings.Contains(got[0], "lb_session=sent-in-the-query") {
		t.Fatalf("the endpoint got %q", got)
	}
	if n := strings.Count(log.String(), "lb_session=REDACTED"); n != 2 {
		t.Errorf("%d of 2 requests are logged:\n%s", n, &log)
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, &log)
		}
	}
}
