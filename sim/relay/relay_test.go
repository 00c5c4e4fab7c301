package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"go-loadbalancer/sim/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Answers pass, later while they are to be slow, and nothing is left at the end.
func TestRelay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, "said", in.Text())
				}
			}()
		}
	}()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	taken.Close()
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- relay.New(server.Addr().String()).Serve(serving, address, control) }()

	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	tell := func(method, path string) (s relay.State) {
		t.Helper()
		r, _ := http.NewRequestWithContext(ctx, method, "http://"+control.Addr().String()+path, nil)
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
		return s
	}
	tell(http.MethodGet, "/state")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewScanner(c)
	ask := func(word string) time.Duration {
		t.Helper()
		began := time.Now()
		fmt.Fprintln(c, word)
		if !in.Scan() || in.Text() != "said "+word {
			t.Fatalf("%q, %v", in.Text(), in.Err())
		}
		return time.Since(began)
	}
	ask("one")
	const by = 200 * time.Millisecond
	tell(http.MethodPut, "/slow?by="+by.String())
	if took := ask("two"); took < by {
		t.Errorf("a slow answer took %v", took)
	}
	s := tell(http.MethodPut, "/slow?by=0s")
	ask("three")
	if after := tell(http.MethodGet, "/state"); s.Slowed != 1 || after.Slowed != 1 || after.Open != 1 {
		t.Errorf("%+v, then %+v", s, after)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if in.Scan() {
		t.Error("the connection outlives the relay")
	}
}
