package server_test

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pipetest"
	"go-loadbalancer/lb/proxy"
	"go-loadbalancer/lb/server"
	"go-loadbalancer/lb/wire"
)

// aging is a server in a bubble whose connections reach an age.
type aging struct {
	t *testing.T
	*server.Server
	hall   *pipetest.Listener
	closed chan event.CloseReason
}

const never = 24 * time.Hour

// ages runs a test against a server whose connections are limited to an age.
func ages(t *testing.T, age time.Duration, rnd func() uint64, h handler, test func(*aging)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &aging{t: t, hall: pipetest.Listen(), closed: make(chan event.CloseReason, 1000)}
		a.Server = server.New(server.Options{
			Listener: a.hall, Settings: ageSettings(age), Handler: h, Rand: rnd,
			Events: &event.Listener{ConnectionClosed: func(_ string, why event.CloseReason) { a.closed <- why }},
		})
		a.Start()
		test(a)
		if err := a.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func ageSettings(age time.Duration) server.Settings {
	set := settings()
	set.Idle, set.RequestHeader, set.RequestBody, set.Write = never, never, never, never
	set.MaxConnections, set.ConnectionAge = 1000, age
	return set
}

func always(x uint64) func() uint64 { return func() uint64 { return x } }

type client struct {
	net.Conn
	in *bufio.Reader
}

func (a *aging) dial() client {
	far := a.hall.Dial()
	a.t.Cleanup(func() { far.Close() })
	return client{far, bufio.NewReader(far)}
}

// ask sends a request and reports whether the reply says that it was the last.
func (a *aging) ask(c client, request string) (last bool) {
	a.t.Helper()
	go io.WriteString(c, request)
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		a.t.Fatal(err)
	}
	return resp.Close
}

// ended fails the test unless the other side has closed the connection for a
// reason, by now.
func (a *aging) ended(c client, want event.CloseReason) {
	a.t.Helper()
	if b, err := io.ReadAll(c.in); len(b) > 0 || err != nil {
		a.t.Errorf("got %q, %v; want the end", b, err)
	}
	c.Close()
	if why := <-a.closed; why != want {
		a.t.Errorf("closed for %q, want %q", why, want)
	}
}

const old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"

// A connection in use ends with the first reply after its age, which is drawn
// when it is accepted.
func TestAgeOfABusyConnection(t *testing.T) {
	for _, c := range []struct {
		name, request string
		rnd           uint64
		end           time.Duration
	}{
		{"HTTP/1.1", get, 0, 10 * time.Minute},
		{"HTTP/1.0", old, 0, 10 * time.Minute},
		{"a tenth less", get, 1<<64 - 1, 9 * time.Minute},
		{"half of a tenth less", get, 1 << 63, 570 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			ages(t, 10*time.Minute, always(c.rnd), hello, func(a *aging) {
				p := a.dial()
				began := time.Now()
				for time.Since(began) < c.end-time.Nanosecond {
					if a.ask(p, c.request) {
						t.Fatalf("the last reply came after %v, want %v", time.Since(began), c.end)
					}
					time.Sleep(min(700*time.Millisecond, c.end-time.Since(began)))
				}
				time.Sleep(time.Nanosecond) // the tenth is rounded
				if !a.ask(p, c.request) {
					t.Errorf("the reply after %v is not the last", time.Since(began))
				}
				a.ended(p, event.ClosedAged)
			})
		})
	}
}

// A connection that waits ends when it has reached its age, but not in the
// second after a reply: a request that comes then is served, and told.
func TestAgeOfAnIdleConnection(t *testing.T) {
	for _, c := range []struct {
		last, end time.Duration // of its requests
	}{
		{0, time.Minute},
		{58 * time.Second, time.Minute},
		{59500 * time.Millisecond, 60500 * time.Millisecond},
	} {
		ages(t, time.Minute, always(0), hello, func(a *aging) {
			began := time.Now()
			p, q := a.dial(), a.dial()
			for _, c2 := range []client{p, q} {
				a.ask(c2, get)
			}
			time.Sleep(c.last)
			a.ask(p, get)
			a.ask(q, get)
			time.Sleep(c.end - time.Since(began) - time.Millisecond)
			if a.ask(q, get) != (c.end > time.Minute) {
				t.Error("a request before the close is not answered as it should be")
			}
			a.ended(p, event.ClosedAged)
			if took := time.Since(began); took != c.end {
				t.Errorf("closed after %v, want %v", took, c.end)
			}
			q.Close()
			<-a.closed
		})
	}
}

// A wait that is shorter than what is left of the age ends as it does without.
func TestAgeLeavesOtherTimeouts(t *testing.T) {
	for _, age := range []time.Duration{0, 10 * time.Minute} {
		ages(t, age, always(0), hello, func(a *aging) {
			set := ageSettings(age)
			set.Idle, set.RequestHeader = time.Minute, 15*time.Minute
			a.Update(set)
			began := time.Now()
			p, mute := a.dial(), a.dial()
			a.ask(p, get)
			a.ended(p, event.ClosedIdle)
			a.ended(mute, event.ClosedSilent) // what never was used is no connection in use
			if took := time.Since(began); took < 15*time.Minute {
				t.Errorf("the silent one was closed after %v", took)
			}
		})
	}
}

// No request is cut, however long it takes; the reply to it is the last if it
// was near the end, and else the next is.
func TestAgeCutsNoRequest(t *testing.T) {
	slow := func(x proxy.Exchange) {
		for {
			if _, err := x.Body().Next(); err == io.EOF {
				break
			} else if err != nil {
				x.Abort()
				return
			}
		}
		d, _ := time.ParseDuration(string(x.Request().Path[1:]))
		time.Sleep(d)
		hello(x)
	}
	ages(t, 10*time.Minute, always(0), slow, func(a *aging) {
		p := a.dial()
		a.ask(p, "GET /9m30s HTTP/1.1\r\nHost: a\r\n\r\n")
		if !a.ask(p, "GET /40s HTTP/1.1\r\nHost: a\r\n\r\n") {
			t.Error("the reply that ended after the age is not the last")
		}
		a.ended(p, event.ClosedAged)

		p = a.dial()
		a.ask(p, "GET /5m HTTP/1.1\r\nHost: a\r\n\r\n")
		a.ask(p, "GET /1h HTTP/1.1\r\nHost: a\r\n\r\n")
		if !a.ask(p, "GET /1s HTTP/1.1\r\nHost: a\r\n\r\n") {
			t.Error("the reply after a long one is not the last")
		}
		a.ended(p, event.ClosedAged)

		// An upload in drips.
		p = a.dial()
		a.ask(p, "GET /1ms HTTP/1.1\r\nHost: a\r\n\r\n")
		go func() {
			io.WriteString(p, "POST /1ms HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
			for range 100 {
				time.Sleep(7 * time.Second)
				io.WriteString(p, "x")
			}
		}()
		if resp, err := http.ReadResponse(p.in, nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
		io.ReadFull(p.in, make([]byte, 5))
		p.Close()
		<-a.closed
	})
}

func TestAgeLeavesTunnels(t *testing.T) {
	echo := func(x proxy.Exchange) {
		if string(x.Request().Path) == "/" {
			hello(x)
			return
		}
		x.Reply(&wire.Response{Status: 101, Upgrade: []byte("echo")})
		x.Flush()
		tunnel := x.Tunnel()
		tunnel.SetReadTimeout(0)
		for tunnel.Fill() == nil {
			tunnel.Write(tunnel.Buffered())
			tunnel.Flush()
			tunnel.Discard(len(tunnel.Buffered()))
		}
	}
	ages(t, time.Minute, always(0), echo, func(a *aging) {
		p := a.dial()
		a.ask(p, get)
		time.Sleep(30 * time.Second)
		go io.WriteString(p, "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		if resp, err := http.ReadResponse(p.in, nil); err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v, %v", resp, err)
		}
		for range 10 {
			time.Sleep(time.Hour)
			go io.WriteString(p, "hello")
			if b := make([]byte, 5); true {
				if _, err := io.ReadFull(p.in, b); string(b) != "hello" {
					t.Fatalf("%q, %v", b, err)
				}
			}
		}
		p.Close()
		if why := <-a.closed; why != event.ClosedAfterTunnel {
			t.Errorf("closed for %q", why)
		}
	})
}

// Another policy's age holds for the connections there are, from their next
// request on.
func TestAgeChanges(t *testing.T) {
	ages(t, 0, always(0), hello, func(a *aging) {
		p := a.dial()
		for range 100 {
			if a.ask(p, get) {
				t.Fatal("without an age, a reply is the last")
			}
			time.Sleep(time.Hour)
		}
		a.Update(ageSettings(time.Minute))
		a.ask(p, get) // it was waited for by the old policy
		a.ended(p, event.ClosedAged)

		p = a.dial()
		a.ask(p, get)
		a.Update(ageSettings(0))
		time.Sleep(30 * time.Second)
		for range 100 {
			if a.ask(p, get) {
				t.Fatal("a reply is the last, though the age was taken away")
			}
			time.Sleep(time.Hour)
		}
		p.Close()
		<-a.closed
	})
}

// Connections that were made at once do not end at once.
func TestAgesDiffer(t *testing.T) {
	const seed, n = 7, 200
	rnd := rand.New(rand.NewPCG(seed, 0))
	ages(t, 10*time.Minute, rnd.Uint64, hello, func(a *aging) {
		began := time.Now()
		ends := make(chan time.Duration, n)
		for range n {
			p := a.dial()
			a.ask(p, get)
			go func() {
				p.in.ReadByte()
				ends <- time.Since(began)
			}()
		}
		var parts [10]int
		for range n {
			end := <-ends
			part := int((end - 9*time.Minute) / (6 * time.Second))
			if end < 9*time.Minute || part >= len(parts) {
				t.Fatalf("one ended after %v", end)
			}
			parts[part]++
			if why := <-a.closed; why != event.ClosedAged {
				t.Errorf("closed for %q", why)
			}
		}
		for _, m := range parts {
			if m < n/len(parts)/3 || m > 3*n/len(parts) {
				t.Errorf("ends in each tenth of the last minute: %v (seed %d)", parts, seed)
				break
			}
		}
	})
}

// On a socket: a client that goes by the replies never loses a request.
func TestAgeOnASocket(t *testing.T) {
	for _, request := range []string{get, old} {
		t.Run(strings.Fields(request)[2], func(t *testing.T) {
			r := start(t, hello, nil)
			defer r.stop()
			set := settings()
			set.ConnectionAge = 20 * time.Millisecond
			r.Update(set)
			const connections = 3
			for range connections {
				c := r.dial()
				in := bufio.NewReader(c)
				for last, n := false, 0; !last; n++ {
					io.WriteString(c, request)
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatalf("request %d: %v", n, err)
					}
					io.Copy(io.Discard, resp.Body)
					last = resp.Close
				}
				if b, err := io.ReadAll(in); len(b) > 0 || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				c.Close()
				if why := <-r.closed; why != event.ClosedAged {
					t.Errorf("closed for %q", why)
				}
			}
		})
	}
}
