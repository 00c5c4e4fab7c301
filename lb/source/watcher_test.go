package source_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"go-loadbalancer/lb/source"
)

// watchers hands out real watchers and remembers them, or refuses.
type watchers struct {
	mu   sync.Mutex
	made []*fsnotify.Watcher
	err  error
}

func (w *watchers) make() (*fsnotify.Watcher, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	out, err := fsnotify.NewWatcher()
	if err == nil {
		w.made = append(w.made, out)
	}
	return out, err
}

func (w *watchers) last() *fsnotify.Watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[len(w.made)-1]
}

func (w *watchers) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func TestWatcherDies(t *testing.T) {
	for name, kill := range map[string]func(*testing.T, *fsnotify.Watcher){
		"closed": func(t *testing.T, w *fsnotify.Watcher) { must(t, w.Close()) },
		"overflow": func(t *testing.T, w *fsnotify.Watcher) {
			select {
			case w.Errors <- fsnotify.ErrEventOverflow:
			case <-time.After(patience):
				t.Fatal("nobody listens to the watcher's errors")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, generation(0))
			d := source.NewDir(dir, quick)
			var made watchers
			d.SetNewWatcher(made.make)
			start(t, d)
			for n := 1; n <= 20; n++ {
				kill(t, made.last())
				delivered(t, d) // what happened meanwhile is not known
				write(t, dir, generation(3*n))
				await(t, d, fmt.Sprint("generation ", 3*n), generation(3*n))
			}
		})
	}
}

// lockedBuffer is a log two goroutines may use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Without a watcher the directory is polled, and the log says why, once; when
// one can be had again, it is.
func TestNoWatcherToBeHad(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, generation(0))
	var log lockedBuffer
	d := source.NewDir(dir, source.Options{
		Debounce: time.Millisecond, Poll: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	var made watchers
	made.refuse(fmt.Errorf("couldn't initialize inotify: %w", syscall.EMFILE))
	d.SetNewWatcher(made.make)
	start(t, d)
	for n := 1; n <= 5; n++ {
		write(t, dir, generation(3*n))
		await(t, d, fmt.Sprint("generation ", 3*n), generation(3*n))
	}
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "fs.inotify.max_user_instances") {
		t.Errorf("log does not say once why and what to do:\n%s", got)
	}
	made.refuse(nil)
	deadline := time.After(patience)
	for !strings.Contains(log.String(), "watched again") {
		select {
		case <-d.Changed():
		case <-deadline:
			t.Fatalf("the directory is not watched again; log:\n%s", log.String())
		}
	}
}

// TestErrorsAreNeverHeldBack: the library sends errors under the lock that its
// methods need, so sending one must never wait for whoever calls those methods.
func TestErrorsAreNeverHeldBack(t *testing.T) {
	errs := make(chan error)
	lost := source.Drain(errs)
	for n := range 10 {
		select {
		case errs <- fmt.Errorf("error %d", n):
		case <-time.After(patience):
			t.Fatalf("error %d was held back although nobody looked at those before it", n)
		}
	}
	if err := <-lost; err == nil {
		t.Error("no error was kept")
	}
	close(errs)
	for range lost {
		// ends, since the source of it did
	}
}
