package storytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/event"
)

// patience is how long anything may take before the test fails.
const patience = time.Minute

// shop is three servers and the balancer before them.
type shop struct {
	t              *testing.T
	servers        []*server
	receiver       *receiver
	traffic, admin string // http://host:port
	log            string // the access log's file
	policy         string
	own            said // the balancer's own log
	http           *http.Client
	changes        chan event.BreakerChange
	stop           func() // and waits for the end
}

const policyText = `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "2026-11-23.1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  trustedProxies: [127.0.0.0/8]
  routes:
    - name: cart
      hostnames: [shop.example.com]
      matches: [{path: {type: PathPrefix, value: /cart}}]
      backendRefs: [{pool: cart}]
      retry: {attempts: 2, codes: [502, 503, 504], backoff: 5ms}
    - name: checkout
      hostnames: [shop.example.com]
      matches: [{path: {type: PathPrefix, value: /checkout}, method: POST}]
      backendRefs: [{pool: cart}]
  pools:
    - name: cart
      endpoints: [%s]
      loadBalancer: {type: RoundRobin}
      sessionPersistence: {store: Cookie}
      circuitBreaker: {consecutiveFailures: 5, openDuration: 10s, maxOpenDuration: 20s, halfOpenRequests: 1}
      healthCheck: {active: {http: {path: /healthz}, interval: 1s}}
`

func newShop(t *testing.T) *shop {
	s := &shop{t: t, receiver: newReceiver(t), changes: make(chan event.BreakerChange, 64)}
	var endpoints []string
	for i := range 3 {
		one := newServer(t, fmt.Sprintf("127.0.10.%d", i+1))
		s.servers = append(s.servers, one)
		endpoints = append(endpoints, fmt.Sprintf("{address: %q}", one.address))
	}
	dir := t.TempDir()
	s.log = filepath.Join(t.TempDir(), "access.log")
	s.policy = fmt.Sprintf(policyText, strings.Join(endpoints, ", "))
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(s.policy), 0o600); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.http = &http.Client{Transport: transport, Timeout: patience}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.receiver.url)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")

	opened, ended := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ended <- app.Run(ctx, app.Config{
			Policies: dir, Admin: "127.0.0.1:0", AccessLog: s.log,
			Logger: slog.New(slog.NewJSONHandler(io.MultiWriter(&s.own, t.Output()), nil)),
			Events: &event.Listener{BreakerChanged: func(e event.BreakerChange) { s.changes <- e }},
			Listening: func(role app.Role, addr net.Addr) {
				if role == app.Admin {
					s.admin = "http://" + addr.String()
				} else {
					s.traffic = "http://" + addr.String()
					close(opened)
				}
			},
		})
	}()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the balancer's end: %v", err)
		}
	}
	t.Cleanup(s.stop)
	select {
	case <-opened:
	case err := <-ended:
		ended <- err
		t.Fatalf("the balancer does not start: %v", err)
	}
	s.until("it is ready", func() bool {
		resp, err := s.http.Get(s.admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return s
}

// said is what is written by one goroutine and read by another.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for something that nobody tells of.
func (s *shop) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// change waits for the next change of a breaker, which must be that of a server to a state.
func (s *shop) change(of *server, to event.BreakerState, reason string) event.BreakerChange {
	s.t.Helper()
	select {
	case e := <-s.changes:
		if e.Address != of.address || e.To != to || e.Reason != reason {
			s.t.Fatalf("the breaker of %s turned %s, %s; the script wants %s to turn %s, %s", e.Address, e.To, e.Reason, of.address, to, reason)
		}
		return e
	case <-time.After(patience):
		s.t.Fatalf("the breaker of %s does not turn %s:\n%s", of.address, to, s.get("/api/v1/status"))
	}
	panic("not reached")
}

// get reads a document of the admin address.
func (s *shop) get(path string) string {
	s.t.Helper()
	resp, err := s.http.Get(s.admin + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d %v\n%s", path, resp.StatusCode, err, text)
	}
	return string(text)
}

func (s *shop) decode(path string, into any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.get(path)), into); err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

// health is what /metrics says to programs.
func (s *shop) health() (h admin.Health) {
	s.t.Helper()
	q, err := http.NewRequest(http.MethodGet, s.admin+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Accept", "application/json")
	resp, err := s.http.Do(q)
	if err == nil {
		defer resp.Body.Close()
		err = json.NewDecoder(resp.Body).Decode(&h)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// metrics is every series that begins with lb_, by its name and labels as they are shown.
func (s *shop) metrics() map[string]float64 {
	s.t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(s.get("/metrics")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "lb_") {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
			all[name] = n
		}
	}
	return all
}
