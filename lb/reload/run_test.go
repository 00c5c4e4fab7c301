package reload_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/reload"
)

// running starts Run in the bubble and joins it in the end.
func running(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// Bad loads of every kind never end the watching, and each good state between
// them serves.
func TestBadLoadsNeverEndTheWatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		running(t, b)
		for n := range 100 {
			version := fmt.Sprint(n + 2)
			switch n % 5 {
			case 0:
				b.source.hold(broken(version))
			case 1:
				b.source.fail(errors.New("gone"))
			case 2:
				b.onPrepare = func() { panic("boom") }
				b.source.hold(shop("refused", "127.0.0.1:9001"))
			case 3:
				b.prepareErr = errors.New("address already in use")
				b.source.hold(shop("refused", "127.0.0.1:9001"))
			}
			synctest.Wait()
			if n%5 != 4 && b.LastError() == nil {
				t.Fatalf("change %d was not refused", n)
			}
			b.onPrepare, b.prepareErr = nil, nil
			b.source.hold(shop(version, fmt.Sprintf("127.0.0.1:%d", 9000+n)))
			synctest.Wait()
			if b.version() != version || b.LastError() != nil {
				t.Fatalf("change %d: version %s serves, want %s; last error %+v", n, b.version(), version, b.LastError())
			}
		}
	})
}

// A source that polls tells of a change again and again. What is wrong is told
// once; what may come right by itself is tried each time.
func TestRefusalsAreToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(b *bench)
		tries int // of preparing, in ten polls
	}{
		"invalid":    {func(b *bench) { b.source.hold(broken("")) }, 0},
		"unreadable": {func(b *bench) { b.source.fail(errors.New("gone")) }, 0},
		"port taken": {func(b *bench) {
			b.prepareErr = errors.New("address already in use")
			b.source.hold(shop("2", "127.0.0.1:9001"))
		}, 11},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := started(t)
				running(t, b)
				c.fault(b)
				synctest.Wait()
				first := b.LastError()
				logged := b.log.String()
				for range 10 {
					time.Sleep(10 * time.Second)
					b.source.maybe()
					synctest.Wait()
				}
				if len(b.rejections) != 1 || b.log.String() != logged || !b.LastError().At.Equal(first.At) {
					t.Errorf("%d events, last error %+v, log:\n%s", len(b.rejections), b.LastError(), b.log.String())
				}
				if got := strings.Count(strings.Join(b.steps, " "), "prepare@"); got != c.tries {
					t.Errorf("prepared %d times, want %d", got, c.tries)
				}
				// Somebody asks: he is told.
				if result := b.Reload(t.Context()); result.Outcome != reload.Rejected || result.Err == nil || len(b.rejections) != 2 || b.log.String() == logged || !b.LastError().At.Equal(first.At) {
					t.Errorf("forced: result %+v, %d events", result, len(b.rejections))
				}
				// Another fault is another matter.
				b.source.fail(errors.New("something else"))
				synctest.Wait()
				if len(b.rejections) != 3 {
					t.Errorf("%d events after another fault", len(b.rejections))
				}
			})
		})
	}
}

// A port that becomes free is taken at the next poll.
func TestPortBecomesFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		running(t, b)
		b.prepareErr = errors.New("address already in use")
		b.source.hold(shop("2", "127.0.0.1:9001"))
		synctest.Wait()
		if b.version() != "1" {
			t.Fatalf("version %s serves", b.version())
		}
		b.prepareErr = nil
		b.source.maybe()
		synctest.Wait()
		if b.version() != "2" || b.LastError() != nil {
			t.Errorf("version %s serves, last error %+v", b.version(), b.LastError())
		}
	})
}

// One reload runs at a time; one that waits for its turn waits no longer than
// its caller does.
func TestReloadsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		running(t, b)
		gate := make(chan struct{})
		b.source.set(func() { b.source.gate, b.source.bundle = gate, shop("2", "127.0.0.1:9001") })
		synctest.Wait() // Run's reload stands before the gate

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		result := b.Reload(ctx)
		if result.Outcome != reload.Canceled || !errors.Is(result.Err, context.DeadlineExceeded) || time.Since(began) != time.Second || result.Took != time.Second {
			t.Errorf("result %+v after %v", result, time.Since(began))
		}

		results := make(chan reload.Result, 3)
		for range cap(results) {
			go func() { results <- b.Reload(context.Background()) }()
		}
		synctest.Wait()
		if len(results) != 0 || len(b.commits) != 0 {
			t.Fatal("a reload went past the one under way")
		}
		close(gate)
		synctest.Wait()
		for range cap(results) {
			if result := <-results; result.Outcome != reload.Unchanged {
				t.Errorf("result %+v", result)
			}
		}
		if len(b.commits) != 1 || b.version() != "2" {
			t.Errorf("%d commits, version %s", len(b.commits), b.version())
		}
	})
}

// The end of the context ends a reading that hangs, and is no failure.
func TestRunEndsWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.Run(ctx)
		}()
		b.source.set(func() { b.source.gate = make(chan struct{}) })
		synctest.Wait()
		cancel()
		<-done
		if b.LastError() != nil || b.steps != nil {
			t.Errorf("last error %+v, steps %v", b.LastError(), b.steps)
		}
	})
}

// How long a reload took counts from the reading.
func TestTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		b.onPrepare = func() { time.Sleep(3 * time.Second) }
		b.shelf.onSave = func() { time.Sleep(time.Hour) }
		gate := make(chan struct{})
		b.source.set(func() { b.source.gate, b.source.bundle = gate, shop("2", "127.0.0.1:9001") })
		time.AfterFunc(2*time.Second, func() { close(gate) })
		b.Reload(t.Context())
		if got := b.commits[0].Took; got != 5*time.Second {
			t.Errorf("took %v, want 5s: reading and preparing, not saving", got)
		}
	})
}

// A closed channel is survived; forced reloads go on.
func TestChangedIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := started(t)
		running(t, b)
		close(b.source.changed)
		synctest.Wait()
		b.source.bundle = shop("2", "127.0.0.1:9001")
		if result := b.Reload(t.Context()); result.Outcome != reload.Committed {
			t.Errorf("result %+v", result)
		}
		if n := strings.Count(b.log.String(), "no more changes"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}
