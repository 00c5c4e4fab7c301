package balancer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

// onPorts is a policy that listens on the addresses given, named l0, l1, …
func onPorts(backend string, addresses ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: lb/v1\nkind: Policy\nmetadata: {name: ports, version: \"1\"}\nspec:\n  listeners:\n")
	for i, a := range addresses {
		fmt.Fprintf(&b, "    - {name: l%d, address: %q}\n", i, a)
	}
	fmt.Fprintf(&b, "  routes: [{name: all, backendRefs: [{pool: p}]}]\n  pools: [{name: p, endpoints: [{address: %q}]}]\n", backend)
	return b.String()
}

// freePort is an address nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func fetch(address string) error {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func TestListenersFollowThePolicy(t *testing.T) {
	slow := make(chan struct{})
	backend := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-slow
		}
		io.WriteString(w, "done")
	})
	a, b := freePort(t), freePort(t)
	source := &text{body: onPorts(backend, a)}
	lb := balancer.New(balancer.Options{Policies: source})
	if err := lb.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := lb.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	reloaded := func(want reload.Outcome, addresses ...string) reload.Result {
		t.Helper()
		source.set(onPorts(backend, addresses...))
		r := lb.Reload(t.Context())
		if r.Outcome != want {
			t.Fatalf("a policy for %v is %s: %v; want %s", addresses, r.Outcome, r.Err, want)
		}
		return r
	}

	// A request in flight on a listener that is given up.
	inFlight := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		c, err := net.Dial("tcp", a)
		if err != nil {
			inFlight <- err
			return
		}
		defer c.Close()
		io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		close(begun)
		answer, err := io.ReadAll(c) // the reply ends the connection
		if err == nil && !strings.HasSuffix(string(answer), "done") {
			err = fmt.Errorf("answer %q", answer)
		}
		inFlight <- err
	}()
	<-begun
	for deadline := time.Now().Add(patience); lb.Status().Pools[0].Endpoints[0].InFlight == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request did not reach its endpoint")
		}
	}

	reloaded(reload.Committed, a, b)
	if err := errors.Join(fetch(a), fetch(b)); err != nil {
		t.Fatal(err)
	}
	reloaded(reload.Committed, b)
	if err := fetch(b); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := fetch(a); errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the listener that was removed still accepts")
		}
	}
	// It comes back while its last request is still in flight.
	reloaded(reload.Committed, b, a)
	if err := fetch(a); err != nil {
		t.Fatal(err)
	}
	close(slow)
	if err := <-inFlight; err != nil {
		t.Fatalf("the request in flight: %v", err)
	}

	// A port somebody else has: refused whole, and nothing of it stays open.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := freePort(t)
	r := reloaded(reload.Rejected, a, c, taken.Addr().String())
	if !strings.Contains(r.Err.Error(), taken.Addr().String()) {
		t.Errorf("the refusal does not name the address %s: %v", taken.Addr(), r.Err)
	}
	if err := errors.Join(fetch(a), fetch(b)); err != nil {
		t.Errorf("after a refused policy: %v", err)
	}
	if err := fetch(c); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a listener of the refused policy: %v, want it refused", err)
	}
	if e := lb.Status().Policy.LastError; e == nil || e.Reason != string(reload.Listen) {
		t.Errorf("last error %+v, want one for the reason %s", e, reload.Listen)
	}
	taken.Close()
	reloaded(reload.Committed, a, c, taken.Addr().String())
	if err := errors.Join(fetch(a), fetch(c)); err != nil {
		t.Error(err)
	}
}

// TestListenerSettingsFollowThePolicy: a listener that stays takes its new
// settings without being opened anew.
func TestListenerSettingsFollowThePolicy(t *testing.T) {
	b := answering(t, ok)
	l := start(t, setup{endpoints: []string{b.addr}})
	before := l.addr
	l.dial().answered(200, get)
	changed := setup{endpoints: []string{b.addr}, limits: "headerFields: 2"}
	l.source.set(changed.text())
	if r := l.Reload(t.Context()); r.Outcome != reload.Committed {
		t.Fatal(r)
	}
	if now := l.Addr("http").String(); now != before {
		t.Fatalf("the listener moved from %s to %s", before, now)
	}
	l.dial().answered(431, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n")
}

func TestReloadOutsideServing(t *testing.T) {
	source := &text{body: onPorts("127.0.0.1:1", "127.0.0.1:0")}
	lb := balancer.New(balancer.Options{Policies: source})
	if r := lb.Reload(t.Context()); r.Outcome != reload.Canceled {
		t.Errorf("before Start a reload is %s, want canceled", r.Outcome)
	}
	if lb.Ready() {
		t.Error("ready before Start")
	}
	if err := lb.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !lb.Ready() {
		t.Error("not ready after Start")
	}
	if err := lb.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := lb.Reload(t.Context()); r.Outcome != reload.Canceled {
		t.Errorf("after Shutdown a reload is %s, want canceled", r.Outcome)
	}
	if lb.Ready() {
		t.Error("ready after Shutdown")
	}
}
