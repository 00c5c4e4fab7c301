package backend_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/sim/backend"
)

// exchangeRaw sends one request on a connection of its own and reads all that
// comes until the peer closes or patience is over.
func exchangeRaw(t *testing.T, addr, request string, patience time.Duration) (got string, end error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, request)
	c.SetReadDeadline(time.Now().Add(patience))
	var all bytes.Buffer
	_, err = io.Copy(&all, c)
	return all.String(), err
}

func TestFaults(t *testing.T) {
	const request = "GET /?size=10 HTTP/1.1\r\nHost: x\r\n\r\n"
	// How a connection ends, and how long that is waited for.
	type ending struct {
		patience time.Duration
		is       func(error) bool
	}
	silent := ending{400 * time.Millisecond, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }}
	closed := ending{10 * time.Second, func(err error) bool { return err == nil }}
	reset := ending{10 * time.Second, func(err error) bool { return errors.Is(err, syscall.ECONNRESET) }}
	for _, tc := range []struct {
		name, faults, request string
		has                   []string // parts of what comes; none: nothing comes
		ends                  string   // what it ends with
		end                   ending
	}{
		{"none", `{}`, request, []string{"HTTP/1.1 200 OK\r\n", "Content-Length: 10\r\n"}, "\r\n\r\nabcdefghij", silent},
		{"respond", `{"respond":{"status":503}}`, request, []string{"HTTP/1.1 503 "}, "\n", silent},
		{"respond without a body", `{"respond":{"status":204}}`, request, []string{"HTTP/1.1 204 "}, "\r\n\r\n", silent},
		{"errors all", `{"errors":1}`, request, []string{"HTTP/1.1 503 "}, "\n", silent},
		{"errors with a status", `{"errors":{"share":1,"status":500}}`, request, []string{"HTTP/1.1 500 "}, "\n", silent},
		{"errors none", `{"errors":0}`, request, []string{"HTTP/1.1 200 "}, "j", silent},
		{"hang", `{"hang":true}`, request, nil, "", silent},
		{"hang with a body", `{"hang":true}`, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", nil, "", silent},
		{"hang for a while", `{"hang":true,"for":"1s"}`, request, nil, "", closed},
		{"truncate", `{"truncate":4}`, request, []string{"Content-Length: 10\r\n"}, "\r\n\r\nabcd", closed},
		{"truncate at nothing", `{"truncate":0}`, request, []string{"Content-Length: 10\r\n"}, "\r\n\r\n", closed},
		{"truncate beyond the end", `{"truncate":100}`, request, nil, "abcdefghi", closed},
		{"truncate a stream", `{"truncate":5}`, "GET /?chunks=3&every=1ms HTTP/1.1\r\nHost: x\r\n\r\n", []string{"chunked"}, "5\r\nb: ch\r\n", closed},
		{"truncate a stream beyond its end", `{"truncate":500}`, "GET /?chunks=1 HTTP/1.1\r\nHost: x\r\n\r\n", []string{"chunked"}, "b: chunk 1 of 1\n\r\n", closed},
		{"length too long", `{"contentLength":12}`, request, []string{"Content-Length: 12\r\n"}, "\r\n\r\nabcdefghij", silent},
		{"length too short", `{"contentLength":4}`, request, []string{"Content-Length: 4\r\n"}, "\r\n\r\nabcdefghij", silent},
		{"length lie for a while", `{"contentLength":4,"for":"1s"}`, request, nil, "abcdefghij", closed},
		{"length lie in a HEAD", `{"contentLength":4}`, "HEAD /?size=10 HTTP/1.1\r\nHost: x\r\n\r\n", []string{"Content-Length: 4\r\n"}, "\r\n\r\n", silent},
		{"length and truncation", `{"contentLength":12,"truncate":3}`, request, []string{"Content-Length: 12\r\n"}, "\r\n\r\nabc", closed},
		{"close", `{"close":true}`, request, nil, "", closed},
		{"reset", `{"reset":true}`, request, nil, "", reset},
		{"health fails", `{"health":"fail"}`, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", []string{"HTTP/1.1 503 "}, "\n", silent},
		{"health fails, traffic does not", `{"health":"fail"}`, request, []string{"HTTP/1.1 200 "}, "j", silent},
		{"health passes nevertheless", `{"hang":true,"health":"pass"}`, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", []string{"HTTP/1.1 200 "}, "ok\n", silent},
		{"health follows", `{"respond":{"status":500}}`, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", []string{"HTTP/1.1 500 "}, "\n", silent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, addr := start(t, backend.Options{Name: "b", Seed: 1})
			setFaults(t, b, tc.faults)
			got, end := exchangeRaw(t, addr, tc.request, tc.end.patience)
			for _, part := range tc.has {
				if !strings.Contains(got, part) {
					t.Errorf("%q is not in %q", part, got)
				}
			}
			if tc.ends == "" && got != "" {
				t.Errorf("got %q, want nothing", got)
			}
			if !strings.HasSuffix(got, tc.ends) {
				t.Errorf("got %q, want it to end with %q", got, tc.ends)
			}
			if !tc.end.is(end) {
				t.Errorf("the connection ended with %v", end)
			}
		})
	}
}

func TestGarbageIsNotHTTPAndRepeats(t *testing.T) {
	var seen [2]string
	for i := range seen {
		b, addr := start(t, backend.Options{Seed: 7})
		setFaults(t, b, `{"garbage":true}`)
		seen[i], _ = exchangeRaw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 10*time.Second)
	}
	if len(seen[0]) != 256 || strings.HasPrefix(seen[0], "HTTP/") {
		t.Errorf("garbage %q", seen[0])
	}
	if seen[0] != seen[1] {
		t.Error("the same seed gave other garbage")
	}
}

func TestFirstFailsSoMany(t *testing.T) {
	b, addr := start(t, backend.Options{})
	setFaults(t, b, `{"first":2}`)
	var got []int
	for _, path := range []string{"/", "/healthz", "/", "/", "/healthz"} {
		resp, _ := get(t, "http://"+addr+path)
		got = append(got, resp.StatusCode)
	}
	// A health check fails with the others, but uses none of them up.
	if want := []int{503, 503, 503, 200, 200}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

func TestChanceFollowsTheSeed(t *testing.T) {
	run := func(seed uint64) string {
		b, addr := start(t, backend.Options{Seed: seed})
		setFaults(t, b, `{"errors":0.5}`)
		var out strings.Builder
		for range 40 {
			resp, _ := get(t, "http://"+addr+"/")
			fmt.Fprintf(&out, "%d ", resp.StatusCode/100)
		}
		return out.String()
	}
	a, again, other := run(1), run(1), run(2)
	if a != again {
		t.Errorf("seed 1 gave %s and then %s", a, again)
	}
	if a == other {
		t.Errorf("seeds 1 and 2 both gave %s", a)
	}
	if n := strings.Count(a, "5"); n < 8 || n > 32 {
		t.Errorf("%d of 40 failed at a share of a half: %s", n, a)
	}
}

func TestLatency(t *testing.T) {
	b, addr := start(t, backend.Options{Latency: backend.Latency{P50: backend.Duration(60 * time.Millisecond)}})
	took := func() time.Duration {
		began := time.Now()
		get(t, "http://"+addr+"/")
		return time.Since(began)
	}
	if d := took(); d < 60*time.Millisecond {
		t.Errorf("own latency: took %v", d)
	}
	setFaults(t, b, `{"latency":"150ms"}`)
	if d := took(); d < 150*time.Millisecond {
		t.Errorf("fixed latency: took %v", d)
	}
	setFaults(t, b, `{"latency":{"p50":"100ms","p99":"100ms"}}`)
	if d := took(); d < 100*time.Millisecond {
		t.Errorf("p50 = p99: took %v", d)
	}
	setFaults(t, b, `{"respond":{"status":500,"after":"120ms"}}`)
	if d := took(); d < 120*time.Millisecond {
		t.Errorf("respond.after: took %v", d)
	}
}

func TestSlowBody(t *testing.T) {
	b, addr := start(t, backend.Options{})
	setFaults(t, b, `{"slowBody":50}`)
	began := time.Now()
	_, body := get(t, "http://"+addr+"/?size=15")
	if d := time.Since(began); len(body) != 15 || d < 290*time.Millisecond {
		t.Errorf("%d bytes in %v, want 15 in 300ms", len(body), d)
	}
}

func TestReplacedFaultsLetGo(t *testing.T) {
	b, addr := start(t, backend.Options{})
	setFaults(t, b, `{"hang":true}`)
	answered := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := client(t).Get("http://" + addr + "/")
		if err == nil {
			resp.Body.Close()
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		answered <- err
	})
	defer wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); b.Requests() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request did not arrive")
		}
	}
	setFaults(t, b, `{}`)
	select {
	case err := <-answered:
		if !errors.Is(err, io.EOF) {
			t.Errorf("the hung request ended with %v, want EOF", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the hung request was not let go")
	}
	if resp, _ := get(t, "http://"+addr+"/"); resp.StatusCode != 200 {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}
