package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/snapshot"
	"go-loadbalancer/lb/source"
)

// shop is a policy of two files.
func shop(version int) files {
	return files{
		"shop.yaml": fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "%d"}
spec:
  listeners: [{name: http, address: "127.0.0.1:8000"}]
  routes: [{name: cart, backendRefs: [{pool: cart}]}]
`, version),
		"cart.yaml": fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop}
spec:
  pools: [{name: cart, endpoints: [{address: "127.0.0.1:%d"}]}]
`, 9000+version),
	}
}

// serving is a reloader that watches a directory, and what it tells.
type serving struct {
	*reload.Reloader
	current   *snapshot.Current
	committed chan event.Commit
	rejected  chan event.Rejection
	log       *lockedBuffer
}

func serve(t *testing.T, path, state string) (*serving, error) {
	t.Helper()
	s := &serving{
		current:   new(snapshot.Current),
		committed: make(chan event.Commit, 1000),
		rejected:  make(chan event.Rejection, 1000),
		log:       new(lockedBuffer),
	}
	logger := slog.New(slog.NewJSONHandler(s.log, nil))
	events := &event.Listener{
		PolicyCommitted: func(c *event.Commit) { s.committed <- *c },
		PolicyRejected:  func(r *event.Rejection) { s.rejected <- *r },
	}
	registry := pool.NewRegistry(pool.Options{
		Events: events,
		Dial:   func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not here") },
	})
	t.Cleanup(registry.Close)
	o := quick
	o.Logger = logger
	dir := source.NewDir(path, o)
	dir.Start()
	t.Cleanup(dir.Close)
	s.Reloader = reload.New(reload.Options{
		Source: dir, LastGood: source.NewStateDir(state), Registry: registry, Current: s.current,
		Events: events, Logger: logger,
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Start(ctx); err != nil {
		cancel()
		return nil, err
	}
	<-s.committed
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s, nil
}

// becomes waits until a version serves.
func (s *serving) becomes(t *testing.T, version int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case <-s.committed:
		case <-deadline:
			t.Fatalf("version %d never served; %s does; last error %+v\n%s", version, s.current.Load().Info.Version, s.LastError(), s.log.String())
		}
		if s.current.Load().Info.Version == fmt.Sprint(version) {
			return
		}
	}
}

// refuses waits until a policy is refused.
func (s *serving) refuses(t *testing.T) {
	t.Helper()
	select {
	case <-s.rejected:
	case <-time.After(patience):
		t.Fatalf("nothing was refused\n%s", s.log.String())
	}
}

// A hundred changes of a real directory, every fourth of them bad, by each way
// of publishing: every good one serves, and a bad one never ends the watching.
func TestHundredReloads(t *testing.T) {
	for name, publisher := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, publish := publisher(t)
			publish(t, shop(0))
			s, err := serve(t, path, t.TempDir())
			must(t, err)
			for n := 1; n <= 100; n++ {
				fs := shop(n)
				if n%4 == 0 {
					fs["cart.yaml"] += "  colour: red\n"
					publish(t, fs)
					s.refuses(t)
					continue
				}
				publish(t, fs)
				s.becomes(t, n)
			}
		})
	}
}

// A last good policy serves where the directory is missing, until it appears.
func TestMissingDirectoryIsPickedUp(t *testing.T) {
	path, state := filepath.Join(t.TempDir(), "policies"), t.TempDir()
	if _, err := serve(t, path, state); err == nil ||
		!bytes.Contains([]byte(err.Error()), []byte(path)) || !bytes.Contains([]byte(err.Error()), []byte("create it")) {
		t.Fatalf("error %v", err)
	}

	write(t, path, shop(1))
	_, err := serve(t, path, state) // keeps version 1
	must(t, err)
	must(t, os.RemoveAll(path))

	s, err := serve(t, path, state)
	must(t, err)
	if got := s.Serving(); got.Version != "1" || !got.LastGood || s.LastError() == nil {
		t.Fatalf("serving %+v, last error %v", got, s.LastError())
	}
	write(t, path+".new", shop(2))
	must(t, os.Rename(path+".new", path))
	s.becomes(t, 2)
	if got := s.Serving(); got.LastGood || s.LastError() != nil {
		t.Errorf("serving %+v, last error %v", got, s.LastError())
	}
}
