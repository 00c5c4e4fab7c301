package admin_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/pipetest"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/telemetry"
)

// inMemory starts a server for the balancer in a bubble of [synctest]; stop ends it.
func inMemory(t *testing.T, b *fake, change ...func(*admin.Options)) (dial func() net.Conn, stop func()) {
	t.Helper()
	ln := pipetest.Listen()
	o := admin.Options{
		Address: "any:1", Balancer: b, Metrics: telemetry.NewMetrics(telemetry.Build{}),
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil },
	}
	for _, f := range change {
		f(&o)
	}
	s := admin.New(o)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	return ln.Dial, stop
}

// exchange sends a request and reads its answer, whole.
func exchange(t *testing.T, conn net.Conn, head string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, head+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatalf("%s: %v", head, err)
	}
	return answer
}

// Whoever holds connections open, probes and scrapes are answered at once, and dashboards
// that are open stay so.
func TestNobodyTakesEverySeat(t *testing.T) {
	const dashboards = 128
	idle := func(t *testing.T, conn net.Conn) { exchange(t, conn, "GET /healthz") }
	silent := func(*testing.T, net.Conn) {}
	// One whose handler has an answer that nobody reads.
	unread := func(t *testing.T, conn net.Conn) {
		if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	}
	for _, tt := range []struct {
		name       string
		held       int
		hold       func(*testing.T, net.Conn)
		dashboards int
	}{
		{"256 idle", 256, idle, 0},
		{"1000 idle", 1000, idle, 0},
		{"256 silent", 256, silent, 0},
		{"1000 silent", 1000, silent, 0},
		{"256 that do not read", 256, unread, 0},
		{"dashboards", 0, nil, dashboards},
		{"dashboards and 1000 idle", 1000, idle, dashboards},
		{"dashboards and 1000 silent", 1000, silent, dashboards},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, stop := inMemory(t, &fake{status: lone(), ready: true})
				var open []net.Conn
				var reading sync.WaitGroup
				var mu sync.Mutex
				live := 0 // dashboards that are told something
				for range tt.dashboards {
					conn := dial()
					open = append(open, conn)
					if _, err := io.WriteString(conn, "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					reading.Go(func() {
						io.Copy(io.Discard, conn)
						mu.Lock()
						defer mu.Unlock()
						live--
					})
					live++
				}
				synctest.Wait()
				for range tt.held {
					conn := dial()
					open = append(open, conn)
					tt.hold(t, conn)
				}
				for range 3 {
					for _, path := range []string{"/healthz", "/metrics"} {
						began := time.Now()
						conn := dial()
						open = append(open, conn)
						if got := exchange(t, conn, "GET "+path); got.StatusCode != http.StatusOK {
							t.Errorf("%s: %s", path, got.Status)
						}
						// In virtual time, which passes only while everybody waits.
						if took := time.Since(began); took >= time.Second {
							t.Errorf("%s is answered after %v", path, took)
						}
					}
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				mu.Lock()
				if live != tt.dashboards {
					t.Errorf("of %d dashboards %d are open", tt.dashboards, live)
				}
				mu.Unlock()
				for _, conn := range open {
					conn.Close()
				}
				stop()
				reading.Wait()
			})
		})
	}
}

// However many come, 256 connections are kept: those that were used last.
func TestTheOldestIdleLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := inMemory(t, &fake{status: lone(), ready: true})
		var open []net.Conn
		for range 256 {
			conn := dial()
			exchange(t, conn, "GET /healthz")
			synctest.Wait() // until the server knows, too, that it is idle
			open = append(open, conn)
		}
		exchange(t, open[0], "GET /healthz") // now it is the second that is idle longest
		synctest.Wait()
		open = append(open, dial())
		synctest.Wait()
		for n, conn := range open {
			conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := conn.Read(make([]byte, 1))
			if closed := err == io.EOF; closed != (n == 1) {
				t.Errorf("connection %d: %v", n, err)
			}
			conn.Close()
		}
		stop()
	})
}

// A reload may take longer than a request may take to come.
func TestSlowReload(t *testing.T) {
	for _, request := range []string{
		"POST /-/reload HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	} {
		synctest.Test(t, func(t *testing.T) {
			dial, stop := inMemory(t, &fake{onReload: func(ctx context.Context) reload.Result {
				select {
				case <-time.After(29 * time.Second):
					return reload.Result{Outcome: reload.Committed}
				case <-ctx.Done():
					return reload.Result{Outcome: reload.Canceled, Err: ctx.Err()}
				}
			}})
			conn := dial()
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"committed"`) {
				t.Errorf("%s %v: %s", answer.Status, err, body)
			}
			conn.Close()
			stop()
		})
	}
}

// Who waits for a seat when the server closes is not given one.
func TestCloseWhileOneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := inMemory(t, &fake{})
		var open []net.Conn
		for range 257 {
			open = append(open, dial())
		}
		synctest.Wait()
		began := time.Now()
		var stopping sync.WaitGroup
		stopping.Go(stop)
		if _, err := open[256].Read(make([]byte, 1)); err != io.EOF || time.Since(began) > 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		for _, conn := range open {
			conn.Close()
		}
		stopping.Wait()
	})
}
