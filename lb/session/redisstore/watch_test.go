package redisstore_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
)

// watcher is a running Watch.
type watcher struct {
	t         *testing.T
	connected chan bool
	rebound   chan string
}

func watch(t *testing.T, s *redisstore.Store) watcher {
	t.Helper()
	w := watcher{t: t, connected: make(chan bool, 100), rebound: make(chan string, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.Watch(ctx, func(pool string, id session.ID) { w.rebound <- fmt.Sprintf("%s %x", pool, id) }, func(yes bool) { w.connected <- yes })
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// is waits until the watcher says whether it is connected.
func (w watcher) is(want bool) {
	w.t.Helper()
	select {
	case got := <-w.connected:
		if got != want {
			w.t.Fatalf("connected is %v, want %v", got, want)
		}
	case <-time.After(patience):
		w.t.Fatalf("connected does not become %v", want)
	}
}

// hears waits until the watcher is told of a session, and of no other before.
func (w watcher) hears(pool string, id session.ID) {
	w.t.Helper()
	select {
	case got := <-w.rebound:
		if want := fmt.Sprintf("%s %x", pool, id); got != want {
			w.t.Fatalf("the watcher was told of %q, want %q", got, want)
		}
	case <-time.After(patience):
		w.t.Fatal("the watcher was not told")
	}
}

// hearsOfA rebinds a session of its own, for the watcher to hear of.
func (w watcher) hearsOfA(s *redisstore.Store) {
	w.t.Helper()
	one := ticket()
	if _, err := s.Rebind(w.t.Context(), "cart", one, session.None, 7, usual); err != nil {
		w.t.Fatal(err)
	}
	w.hears("cart", one.ID)
}

func TestWatchOutlivesRedis(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	w := watch(t, s)
	w.is(true)
	w.hearsOfA(s)
	for _, c := range []struct {
		name       string
		gone, back func() error
	}{
		{"killed", func() error { server.Kill(); return nil }, func() error { return server.Restart(false) }},
		{"paused", server.Pause, server.Resume}, // nothing arrives to say so
		{"disconnected", func() error { _, err := server.Do("CLIENT", "KILL", "TYPE", "pubsub"); return err }, func() error { return nil }},
	} {
		t.Log(c.name)
		if err := c.gone(); err != nil {
			t.Fatal(err)
		}
		w.is(false)
		if err := c.back(); err != nil {
			t.Fatal(err)
		}
		w.is(true)
		eventually(t, "the store works", func() error { _, err := s.Find(t.Context(), "cart", ticket(), usual); return err })
		w.hearsOfA(s)
	}
}

// TestWatchStaysConnectedWhenNothingHappens is about longer than it takes to find
// out that nobody is there.
func TestWatchStaysConnectedWhenNothingHappens(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	w := watch(t, s)
	w.is(true)
	eventually(t, "three pings", func() error {
		if n := commands(t, server)["ping"]; n < 1+3 { // one was asked whether it had started
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	w.hearsOfA(s)
	select {
	case yes := <-w.connected:
		t.Errorf("connected became %v", yes)
	default:
	}
}

func TestHostileMessages(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	w := watch(t, s)
	w.is(true)
	id := base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	for _, message := range []string{
		"", ":", "cart", "cart:", id, "cart:" + id[1:], "cart:" + id + "A", "cart:" + id + "==", "cart:" + id[2:] + "!!", "cart:" + id[2:] + "\n\n",
		"cart:" + id[1:] + "B", // bits that no id has
		"%zz:" + id, "%:" + id, "cart: " + id, "\x00\xff", strings.Repeat("x", 5000) + ":" + id, strings.Repeat(":", 1<<20),
	} {
		must(t, server, "PUBLISH", "lb:v1:shop:rebound", message)
	}
	w.hearsOfA(s)
	must(t, server, "PUBLISH", "lb:v1:shop:rebound", "a+b%3A:"+id)
	w.hears("a b:", session.ID{})
	select {
	case yes := <-w.connected:
		t.Errorf("connected became %v", yes)
	default:
	}
}

// TestCloseEndsWatching also when nothing can be watched.
func TestCloseEndsWatching(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	for _, paused := range []bool{false, true} {
		s, err := redisstore.New(redisstore.Options{URL: server.URL(), Namespace: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		w := watch(t, s)
		w.is(true)
		if paused {
			if err := server.Pause(); err != nil {
				t.Fatal(err)
			}
			w.is(false)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if !paused {
			w.is(false)
		}
		s.Watch(t.Context(), nil, nil) // returns at once
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestTheLogSaysOnceThatWatchingFails has a user that may not subscribe at first.
func TestTheLogSaysOnceThatWatchingFails(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	must(t, server, append(append([]string{"ACL", "SETUSER", "lb", "on", ">s3cret"}, leastRights...), "-subscribe")...)
	var log lines
	s := open(t, redisstore.Options{URL: as(server.URL(), "lb:s3cret"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w := watch(t, s)
	eventually(t, "several attempts", func() error {
		if n := commandsRejected(t, server, "subscribe"); n < 3 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	must(t, server, "ACL", "SETUSER", "lb", "+subscribe")
	w.is(true)
	w.hearsOfA(s)
	text := log.String()
	if strings.Count(text, "WARN") != 1 || !strings.Contains(text, "NOPERM") || strings.Count(text, "INFO") != 1 || strings.Contains(text, "s3cret") {
		t.Errorf("the log is %s", text)
	}
}

// commandsRejected is how often a server has refused a command.
func commandsRejected(t *testing.T, s *redistest.Server, name string) (n int) {
	t.Helper()
	text, _ := must(t, s, "INFO", "commandstats").(string)
	_, rest, _ := strings.Cut(text, "cmdstat_"+name+":")
	_, rest, _ = strings.Cut(rest, "rejected_calls=")
	fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
	return n
}
