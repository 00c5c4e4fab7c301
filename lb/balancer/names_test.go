package balancer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
	"go-loadbalancer/lb/reload"
)

// dns is a resolver that says what it is told to; of other names it knows
// nothing.
type dns struct {
	mu    sync.Mutex
	known map[string][]string
}

func (d *dns) say(host string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string][]string{}
	}
	d.known[host] = addresses
}

func (d *dns) use(o *balancer.Options) {
	o.Resolve = func(_ context.Context, host string) (out []netip.Addr, _ time.Duration, _ error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, a := range d.known[host] {
			out = append(out, netip.MustParseAddr(a))
		}
		if out == nil {
			return nil, 0, errors.New("no such host")
		}
		return out, 0, nil
	}
}

// hanging is a resolver that never has an answer.
func hanging(o *balancer.Options) {
	o.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
}

// onEach serves on one port of 127.0.0.1 to 127.0.0.n, and returns the port.
func onEach(t *testing.T, n int, h func(address string, w http.ResponseWriter, r *http.Request)) (port string) {
	t.Helper()
	for range 20 {
		var all []net.Listener
		port = "0"
		for i := range n {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%s", i+1, port))
			if err != nil {
				break // the port is taken on that address
			}
			all = append(all, l)
			_, port, _ = net.SplitHostPort(l.Addr().String())
		}
		if len(all) < n {
			for _, l := range all {
				l.Close()
			}
			continue
		}
		for _, l := range all {
			host, _, _ := net.SplitHostPort(l.Addr().String())
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(host, w, r) })}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Serve(l)
			}()
			t.Cleanup(func() {
				s.Close()
				<-done
			})
		}
		return port
	}
	t.Skip("there is no port that is free on several addresses of 127.0.0.0/8")
	return ""
}

// addresses are those of the first pool's endpoints, without ports, those that
// leave marked.
func (l *lb) addresses() string {
	var out []string
	for _, e := range l.Status().Pools[0].Endpoints {
		host, _, _ := net.SplitHostPort(e.Address)
		if strings.HasSuffix(e.ID, "/-") {
			host += " leaving"
		}
		out = append(out, host)
	}
	return strings.Join(out, ", ")
}

// eventually waits for the endpoints to be those.
func (l *lb) eventually(addresses string) {
	l.t.Helper()
	for late := time.Now().Add(patience); l.addresses() != addresses; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			l.t.Fatalf("endpoints %s, want %s", l.addresses(), addresses)
		}
	}
}

// Addresses come and go under load, and no request fails.
func TestAddressesChangeUnderLoad(t *testing.T) {
	port := onEach(t, 4, func(address string, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, address) })
	var d dns
	d.say("shop.test", "127.0.0.1", "127.0.0.2")
	l := start(t, setup{endpoints: []string{"shop.test:" + port}, pool: "resolveInterval: 100ms"}, d.use)

	stop := make(chan struct{})
	var load sync.WaitGroup
	var mu sync.Mutex
	served := map[string]int{} // since it was cleared
	const clients = 4
	for range clients {
		c := client(t)
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := c.Get("http://" + l.addr + "/")
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || r.StatusCode != 200 {
					t.Errorf("%s %q %v", r.Status, body, err)
					return
				}
				mu.Lock()
				served[string(body)]++
				mu.Unlock()
			}
		})
	}
	for _, answer := range [][]string{
		{"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.3"}, {"127.0.0.4"}, {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}, {"127.0.0.3"},
		{}, // no answer: the last one stays
		{"127.0.0.1", "127.0.0.3"},
	} {
		d.say("shop.test", answer...)
		want := strings.Join(answer, ", ")
		if len(answer) == 0 {
			want, answer = "127.0.0.3", []string{"127.0.0.3"}
			time.Sleep(300 * time.Millisecond) // some look-ups long
		}
		l.eventually(want)
		mu.Lock()
		clear(served)
		mu.Unlock()
		for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			var by []string
			for address, n := range served {
				if n > clients { // each may have had one under way
					by = append(by, address)
				}
			}
			mu.Unlock()
			if slices.Sort(by); slices.Equal(by, answer) {
				break
			}
			if time.Now().After(late) {
				t.Fatalf("%v serve, want %v", by, answer)
			}
		}
	}
	close(stop)
	load.Wait()
	if s := l.Status(); s.Pools[0].Endpoints[0].Name != "shop.test" || s.Pools[0].Endpoints[1].ID != "main/2" || s.Policy.LastError != nil {
		t.Errorf("status %+v", s)
	}
}

// What is known of an address that stays is kept, its breaker's state included;
// one that is gone finishes what it does.
func TestStateOfAddressesIsKept(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{})
	port := onEach(t, 3, func(address string, w http.ResponseWriter, r *http.Request) {
		switch {
		case address == "127.0.0.2":
			w.WriteHeader(500)
		case r.URL.Path == "/slow":
			close(begun)
			<-release
		}
		io.WriteString(w, address)
	})
	var d dns
	d.say("shop.test", "127.0.0.1", "127.0.0.2")
	l := start(t, setup{
		endpoints: []string{"shop.test:" + port}, pool: "resolveInterval: 100ms", balance: "type: RoundRobin",
		breaker: "consecutiveFailures: 1, openDuration: 1h, maxOpenDuration: 1h",
	}, d.use)
	loadedAt := l.Status().Policy.LoadedAt
	for range 2 {
		r, err := http.Get("http://" + l.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	l.until("a breaker to open", func() bool { return len(l.breakers) == 1 })
	slow := make(chan string, 1)
	c := client(t)
	go func() {
		r, err := c.Get("http://" + l.addr + "/slow")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		slow <- fmt.Sprint(string(body), err)
	}()
	await(t, begun)
	before := l.Status().Pools[0].Endpoints[1].Breaker

	d.say("shop.test", "127.0.0.2", "127.0.0.3")
	l.eventually("127.0.0.2, 127.0.0.3, 127.0.0.1 leaving")
	s := l.Status()
	if e := s.Pools[0].Endpoints[0]; e.Breaker.State != "open" || !e.Breaker.OpenUntil.Equal(*before.OpenUntil) || e.Eligible {
		t.Errorf("the breaker was open until %v, and is %+v", before.OpenUntil, e)
	}
	if e := s.Pools[0].Endpoints[2]; !e.Draining || e.InFlight != 1 {
		t.Errorf("the address that is gone: %+v", e)
	}
	if !s.Policy.LoadedAt.Equal(loadedAt) {
		t.Errorf("loaded at %v, was %v", s.Policy.LoadedAt, loadedAt)
	}
	close(release)
	if got := <-slow; got != "127.0.0.1<nil>" {
		t.Errorf("the request under way got %q", got)
	}
	l.eventually("127.0.0.2, 127.0.0.3")
}

// A pool whose name has no address refuses its requests, until it has one.
func TestUnresolvedName(t *testing.T) {
	port := onEach(t, 1, func(address string, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, address) })
	var d dns
	l := start(t, setup{endpoints: []string{"shop.test:" + port}, pool: "resolveInterval: 100ms"}, d.use)
	get := func() *http.Response {
		r, err := http.Get("http://" + l.addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r
	}
	if r := get(); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s, %v", r.Status, r.Header)
	}
	if e := l.ended(1); e.Flags != event.NoEndpoint || e.Attempts != 0 {
		t.Errorf("flags %v", e.Flags)
	}
	if !l.Ready() {
		t.Error("not ready, though a policy serves")
	}
	d.say("shop.test", "127.0.0.1")
	l.eventually("127.0.0.1")
	if r := get(); r.StatusCode != 200 {
		t.Error(r.Status)
	}
}

// A resolver that hangs delays a start and a reload by 2 s, and a shutdown not at
// all.
func TestResolverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := setup{endpoints: []string{"shop.test:80"}}
		source := &text{body: s.text()}
		o := balancer.Options{Policies: source, Listen: func(context.Context, string, string) (net.Listener, error) {
			return pipetest.Listen(), nil
		}}
		hanging(&o)
		b := balancer.New(o)
		began := time.Now()
		if err := b.Start(t.Context()); err != nil || time.Since(began) != 2*time.Second {
			t.Fatalf("started after %v: %v", time.Since(began), err)
		}
		s.endpoints = append(s.endpoints, "other.test:80")
		source.set(s.text())
		began = time.Now()
		if r := b.Reload(t.Context()); r.Outcome != reload.Committed || time.Since(began) != 2*time.Second {
			t.Errorf("%+v after %v", r, time.Since(began))
		}
		began = time.Now()
		if err := b.Shutdown(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("shut down after %v: %v", time.Since(began), err)
		}
	})
}

// What an operator is told of a policy is not told again with every new address.
func TestNewAddressesRepeatNoWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var d dns
		d.say("shop.test", "10.0.0.1")
		o := balancer.Options{
			Policies: &text{body: (&setup{endpoints: []string{"shop.test:80"}}).text()}, MaxConnections: 1,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Listen: func(context.Context, string, string) (net.Listener, error) {
				return pipetest.Listen(), nil
			},
		}
		d.use(&o)
		b := balancer.New(o)
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.say("shop.test", "10.0.0.2")
		time.Sleep(time.Minute)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		for text, want := range map[string]int{"fewer client connections": 1, "policy serves": 1, "new addresses of names serve": 1} {
			if n := strings.Count(log.String(), text); n != want {
				t.Errorf("%q was logged %d times, want %d:\n%s", text, n, want, log.String())
			}
		}
	})
}

// A start that fails after its names were asked for leaves nothing behind.
func TestStartFailsWithNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := setup{endpoints: []string{"shop.test:80"}}
		o := balancer.Options{Policies: &text{body: s.text()}, Listen: func(context.Context, string, string) (net.Listener, error) {
			return nil, errors.New("address already in use")
		}}
		ended := false
		o.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			ended = true
			return nil, 0, ctx.Err()
		}
		if err := balancer.New(o).Start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") || !ended {
			t.Errorf("started: %v; the look-up has ended: %v", err, ended)
		}
	})
}
