package storytest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/sim/backend"
)

// server is one of the shop's, which does what the script says and keeps a record.
type server struct {
	t       *testing.T
	address string
	backend *backend.Backend

	mu     sync.Mutex
	served []backend.Served
}

// newServer begins one on a free port of an address.
func newServer(t *testing.T, ip string) *server {
	s := &server{t: t}
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	s.address = ln.Addr().String()
	s.backend = backend.New(backend.Options{
		Latency: backend.Latency{P50: backend.Duration(3 * time.Millisecond), P99: backend.Duration(15 * time.Millisecond)},
		Served: func(one backend.Served) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.served = append(s.served, one)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.backend.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// does has it misbehave from now on, as the demo's visitors do: over HTTP. Empty: it is well.
func (s *server) does(faults string) {
	s.t.Helper()
	method := http.MethodPut
	if faults == "" {
		method = http.MethodDelete
	}
	q, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+backend.ControlPath, strings.NewReader(faults))
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(q)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		s.t.Fatalf("the faults %s are refused: %s", faults, text)
	}
}

// record is all it has served; every request that came has ended.
func (s *server) record() []backend.Served {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		all := append([]backend.Served(nil), s.served...)
		s.mu.Unlock()
		if uint64(len(all)) == s.backend.Requests() {
			return all
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %d requests came, %d ended", s.address, s.backend.Requests(), len(all))
		}
	}
}
