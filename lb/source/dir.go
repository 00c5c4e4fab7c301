package source

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"go-loadbalancer/lb/reload"
)

// Options tune the watching of a directory. The zero value is right for
// production.
type Options struct {
	// Debounce is how long things must be quiet before a change is delivered,
	// so that a burst of events comes as one. 0: 150 ms.
	Debounce time.Duration
	// MaxDelay bounds how long changes that never pause are held back. 0: 2 s.
	MaxDelay time.Duration
	// Poll is the interval at which a change is supposed without any event.
	// 0: 10 s.
	Poll time.Duration
	// Logger is told when watching fails and works again. Nil: nobody is.
	Logger *slog.Logger
}

// Dir is a directory of policy files: a [reload.Source].
type Dir struct {
	path     string
	debounce time.Duration
	maxDelay time.Duration
	poll     time.Duration
	log      *slog.Logger

	changed    chan struct{} // holds one
	newWatcher func() (*fsnotify.Watcher, error)

	mu     sync.Mutex // guards what follows
	stop   context.CancelFunc
	joined chan struct{} // closed when the watching goroutine has ended
}

var _ reload.Source = (*Dir)(nil)

// NewDir returns the directory at a path, which need not exist. Nothing is
// opened until [Dir.Start] or [Dir.Read].
func NewDir(path string, o Options) *Dir {
	if abs, err := filepath.Abs(path); err == nil { // it fails only where the working directory is gone
		path = abs
	}
	d := &Dir{
		path:       path,
		debounce:   o.Debounce,
		maxDelay:   o.MaxDelay,
		poll:       o.Poll,
		log:        o.Logger,
		changed:    make(chan struct{}, 1),
		newWatcher: fsnotify.NewWatcher,
	}
	if d.debounce <= 0 {
		d.debounce = 150 * time.Millisecond
	}
	if d.maxDelay <= 0 {
		d.maxDelay = 2 * time.Second
	}
	if d.poll <= 0 {
		d.poll = 10 * time.Second
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d
}

// Start begins to watch. The watches stand when it returns; where they cannot
// be had, the directory is polled and the logger is told why. A first delivery
// of [Dir.Changed] is made at once, for what may have changed since an earlier
// Read. Start does nothing if the directory is being watched already.
func (d *Dir) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.joined != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop, d.joined = stop, make(chan struct{})
	w := &watching{dir: d}
	w.renew()
	d.supposeChanged()
	go func() {
		defer close(d.joined)
		w.run(ctx)
	}()
}

// Close ends the watching and returns once its goroutine has ended. It does
// nothing if the directory is not being watched.
func (d *Dir) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.joined == nil {
		return
	}
	d.stop()
	<-d.joined
	d.stop, d.joined = nil, nil
}

// Changed delivers when the files may have changed since the last Read. The
// channel is never closed.
func (d *Dir) Changed() <-chan struct{} { return d.changed }

func (d *Dir) supposeChanged() {
	select {
	case d.changed <- struct{}{}:
	default: // one is waiting to be taken already
	}
}
