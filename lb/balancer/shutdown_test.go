package balancer_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/server"
)

// What is in flight finishes, idle connections end, and new ones are refused.
func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	b, asked, answer := waiting(t, ok)
	idle := answering(t, ok)
	l := start(t, setup{routes: "    - name: slow\n      matches: [{path: {value: /slow}}]\n      backendRefs: [{pool: slow}]\n    - name: rest\n      backendRefs: [{pool: main}]\n",
		pools: "    - name: slow\n      endpoints: [{address: \"" + b.addr + "\"}]\n    - name: main\n      endpoints: [{address: \"" + idle.addr + "\"}]\n"})
	quiet := l.dial()
	quiet.answered(200, get)
	busy := l.dial()
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked

	ended := make(chan error, 1)
	go func() { ended <- l.Shutdown(context.Background()) }()
	l.stopped = true
	quiet.closed()
	for { // the listener is closed at about the same time
		c, err := net.Dial("tcp", l.addr)
		if err != nil {
			break
		}
		c.Close()
	}
	if l.Ready() {
		t.Error("ready while it shuts down")
	}
	select {
	case err := <-ended:
		t.Fatalf("shutdown did not wait: %v", err)
	default:
	}
	close(answer)
	r, body := busy.response("GET")
	if body != "ok" || !r.Close {
		t.Errorf("%q, close %v", body, r.Close)
	}
	busy.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for i, why := range []event.CloseReason{l.reason(1), l.reason(2)} {
		if why != event.ClosedDrain {
			t.Errorf("connection %d closed for %q", i+1, why)
		}
	}
}

// Whatever a request waits for, Shutdown ends at its deadline and says what it
// has cut.
func TestShutdownCutsAtTheDeadline(t *testing.T) {
	silent := func(t *testing.T) (string, chan struct{}) {
		asked := make(chan struct{}, 1)
		return once(t, func(p *peer) { p.head(); asked <- struct{}{}; p.gone() }).addr, asked
	}
	for name, x := range map[string]struct {
		request   string
		halfClose bool
		blackHole bool
		tunnel    bool
	}{
		"GET":           {request: get},
		"pipelined":     {request: get + get},
		"whole body":    {request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"},
		"unended body":  {request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody"},
		"half-closed":   {request: get, halfClose: true},
		"while dialing": {request: get, blackHole: true},
		"tunnel":        {request: upgrade, tunnel: true},
		"slow head":     {request: "GET / HTTP/1.1\r\nHost:"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, asked := silent(t)
			if x.tunnel {
				addr = switching(t, func(p *peer) { p.gone() }).addr
			}
			dialing := make(chan struct{})
			l := start(t, setup{endpoints: []string{addr}, route: "request: 0s", pool: "connectTimeout: 1m"}, func(o *balancer.Options) {
				if x.blackHole {
					o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
						close(dialing)
						<-ctx.Done()
						return nil, ctx.Err()
					}
				}
			})
			c := l.dial()
			c.send(x.request)
			if x.halfClose {
				c.CloseWrite()
			}
			switch {
			case x.blackHole:
				await(t, dialing)
			case x.tunnel:
				c.head()
			case name != "slow head":
				await(t, asked)
			}
			c.silent(100) // so that the client is watched
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			l.stopped = true
			began := time.Now()
			err := l.Shutdown(ctx)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			var cut *server.CutError
			if !errors.As(err, &cut) || cut.Connections != 1 {
				t.Errorf("got %v", err)
			}
			c.gone()
			if name == "slow head" {
				return
			}
			// It is not the client who left.
			if e := l.ended(1); e.Flags&^event.Upgraded != event.Draining || !x.tunnel && e.Status != 503 {
				t.Errorf("flags %s, status %d", e.Flags, e.Status)
			}
			if a := l.lastAttempt(); a.Result != event.Aborted {
				t.Errorf("attempt %+v", a)
			}
		})
	}
}

// Under load not one request is lost: each is answered, or its connection was
// refused or ended before anything of it could have been read.
func TestShutdownUnderLoad(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Millisecond) // so that some are in flight
		w.Write([]byte(strings.Repeat("x", 100)))
	})
	l := start(t, setup{endpoints: []string{addr}}, func(o *balancer.Options) { o.AcceptGrace = 50 * time.Millisecond })
	var (
		done         sync.WaitGroup
		served, lost atomic.Int64
	)
	for range 16 {
		done.Go(func() {
			for {
				c, err := net.Dial("tcp", l.addr)
				if err != nil {
					return
				}
				p := newPeer(t, c)
				for {
					if p.send(get) != nil {
						break
					}
					r, body, err := p.tryResponse("GET")
					if r == nil && served.Load() > 0 {
						break // closed while idle, or not accepted any more
					}
					if err != nil || r.StatusCode != 200 || len(body) != 100 {
						lost.Add(1)
						break
					}
					served.Add(1)
					if r.Close {
						break
					}
				}
				c.Close()
			}
		})
	}
	l.until("some load", func() bool { return len(l.requests) > 200 })
	l.stop(patience)
	done.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d responses were broken", lost.Load())
	}
	// Nothing that was taken on was left unanswered.
	for _, e := range l.requests {
		if e.Status != 200 || e.Flags != 0 {
			t.Errorf("event %+v", e)
		}
	}
	if got := int64(len(l.requests)); got != served.Load() {
		t.Errorf("%d requests ended, %d were served", got, served.Load())
	}
	if len(l.requests) != len(l.attempts) || l.routed != len(l.requests) || len(l.closed) != l.opened {
		t.Errorf("%d requests, %d attempts, %d routed; %d connections opened, %d closed", len(l.requests), len(l.attempts), l.routed, l.opened, len(l.closed))
	}
}

// Who is told that the balancer is ready can have it reload: it is not said as soon as
// a policy serves.
func TestReadyMeansThatItReloads(t *testing.T) {
	s := setup{endpoints: []string{serve(t, func(http.ResponseWriter, *http.Request) {})}}
	var b *balancer.Balancer
	early := true
	b = balancer.New(balancer.Options{Policies: &text{body: s.text()}, Events: &event.Listener{
		PolicyCommitted: func(*event.Commit) { early = b.Ready() },
	}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if early || !b.Ready() {
		t.Errorf("ready while it starts: %t, and then: %t", early, b.Ready())
	}
	if r := b.Reload(ctx); r.Outcome != reload.Unchanged {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
	if err := b.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// What a stop cuts is not tried again: there is nobody left to ask.
func TestShutdownIsNotTriedAgain(t *testing.T) {
	asked := make(chan struct{}, 1)
	b := once(t, func(p *peer) { p.head(); asked <- struct{}{}; p.gone() })
	l := start(t, setup{endpoints: []string{b.addr}, retry: "attempts: 3, backoff: 0s"})
	c := l.dial()
	c.send(get)
	await(t, asked)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l.stopped = true
	if l.Shutdown(ctx) == nil {
		t.Error("nothing was cut")
	}
	if e := l.ended(1); e.Flags != event.Draining || e.Status != 503 || e.Attempts != 1 {
		t.Errorf("flags %s, status %d, attempts %d", e.Flags, e.Status, e.Attempts)
	}
}

// A download that a stop cuts is not one whose client left, though it is its connection
// that was waited for.
func TestShutdownCutsADownload(t *testing.T) {
	full := make(chan struct{})
	b := once(t, func(p *peer) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		for piece := strings.Repeat("x", 1<<20); ; {
			p.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			if p.send(piece) != nil {
				break // the client takes no more
			}
		}
		close(full)
		p.gone()
	})
	l := start(t, setup{endpoints: []string{b.addr}})
	c := l.dial()
	c.send(get)
	await(t, full)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	l.stopped = true
	if l.Shutdown(ctx) == nil {
		t.Error("nothing was cut")
	}
	if e := l.ended(1); e.Flags != event.Draining || e.Status != 200 {
		t.Errorf("flags %s, status %d", e.Flags, e.Status)
	}
	if a := l.lastAttempt(); a.Result != event.Aborted {
		t.Errorf("attempt %+v", a)
	}
}
