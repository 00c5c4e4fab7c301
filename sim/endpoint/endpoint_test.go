package endpoint_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"go-loadbalancer/sim/endpoint"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// free is an address that nobody has.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// One is told what is to be wrong, is so, and tells which requests came; it refuses,
// crashes and comes again; and what it has seen to the last is told as it ends.
func TestEndpoint(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address := free(t)
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- endpoint.New(address, model.Options{Name: "cart/1", BodySize: 10}).Serve(serving, control)
	}()
	c := endpoint.NewClient(control.Addr().String())
	defer c.Close()

	var mu sync.Mutex
	visits := map[int]endpoint.Visit{}
	following, followed := make(chan struct{}), make(chan error, 1)
	go func() {
		followed <- c.Visits(ctx, func() { close(following) }, func(v endpoint.Visit) {
			mu.Lock()
			defer mu.Unlock()
			visits[v.N] = v
		})
	}()
	select {
	case <-following:
	case err := <-followed:
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	ask := func(id string) (status int, err error) {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		r.Header.Set("X-Request-Id", id)
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(id string, status int) {
		t.Helper()
		if got, err := ask(id); got != status || err != nil {
			t.Errorf("%s: %d, %v, want %d", id, got, err, status)
		}
	}
	refused := func(id string) {
		t.Helper()
		if _, err := ask(id); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want that it is refused", id, err)
		}
	}
	want("a", 200)
	id, err := c.Begin(ctx, &scenario.Fault{Respond: &scenario.Respond{Status: 418}})
	must(err)
	want("b", 418)
	want("c", 418)
	touched, err := c.Touched(ctx, id)
	must(err)
	if touched != 2 {
		t.Errorf("%d were touched", touched)
	}
	must(c.Refuse(ctx, true))
	refused("d")
	must(c.Refuse(ctx, false))
	if touched, err = c.End(ctx, id); err != nil || touched != 2 {
		t.Errorf("%d were touched in all, %v", touched, err)
	}
	want("e", 200)

	// A crash resets who is connected, and what was wrong is forgotten.
	_, err = c.Begin(ctx, &scenario.Fault{Hang: true})
	must(err)
	hung := make(chan error, 1)
	go func() { _, err := ask("f"); hung <- err }()
	for {
		s, err := c.State(ctx)
		must(err)
		mu.Lock()
		came := len(visits) == 5
		mu.Unlock()
		if s.Open > 0 && came {
			break
		}
		time.Sleep(time.Millisecond)
	}
	must(c.Crash(ctx))
	if err := <-hung; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("who waited got %v", err)
	}
	refused("g")
	must(c.Refuse(ctx, false))
	want("h", 200)

	stop()
	must(<-served)
	must(<-followed)
	var ids string
	for n := range len(visits) {
		v := visits[n]
		if ids += v.ID; v.Some || v.At.IsZero() || (v.ID != "f") != (v.Sent == 10) {
			t.Errorf("%+v", v)
		}
	}
	if ids != "abcefh" {
		t.Errorf("there came %s", ids)
	}
}
