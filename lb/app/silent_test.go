package app_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Connections on which nothing is ever said are cut, be they held back by the
// kernel (TCP_DEFER_ACCEPT) for as long as it likes; and however many come, more
// than the kernel's queue holds, clients who do speak are served meanwhile.
func TestSilentConnections(t *testing.T) {
	const silent, workers = 4000, 10 // fewer than one address may have where descriptors are few
	r := run(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }, nil)
	policy := policyText("2", "/", r.backend.Listener.Addr().String())
	r.write(strings.Replace(policy, `address: "127.0.0.1:0"`, `address: "127.0.0.1:0", timeouts: {requestHeader: 500ms}`, 1))
	if resp, err := r.client.Post(r.admin+"/-/reload", "", nil); err != nil || resp.StatusCode != 200 {
		var answer []byte
		if err == nil {
			answer, _ = io.ReadAll(resp.Body)
		}
		t.Fatalf("%v, %v: %s", resp, err, answer)
	} else {
		resp.Body.Close()
	}
	address := strings.TrimPrefix(r.traffic, "http://")

	var crowd sync.WaitGroup
	cut := make(chan error, silent)
	for range workers {
		crowd.Go(func() {
			var conns []net.Conn
			for range silent / workers {
				c, err := net.Dial("tcp", address)
				if err != nil {
					cut <- err
					continue
				}
				c.SetDeadline(time.Now().Add(time.Minute))
				conns = append(conns, c)
			}
			for _, c := range conns {
				_, err := c.Read(make([]byte, 1))
				if errors.Is(err, os.ErrDeadlineExceeded) {
					cut <- fmt.Errorf("%v was not cut", c.LocalAddr())
				}
				c.Close()
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); crowd.Wait() }()
	honest := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	served := 0
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		resp, err := honest.Get(r.traffic)
		if err != nil {
			t.Fatalf("an honest client, after %d: %v", served, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		served++
	}
	close(cut)
	for err := range cut {
		t.Error(err)
	}
	want := fmt.Sprintf(`lb_client_connections_closed_total{listener="http",reason="silent"} %d`, silent)
	r.await(want, func() bool {
		_, metrics := r.get(r.admin + "/metrics")
		return strings.Contains(metrics, want+"\n")
	})
	t.Logf("%d honest requests were served meanwhile", served)
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}
