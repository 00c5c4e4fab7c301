package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// renewals bounds how often watches are set anew in one go, for a directory
// that changes each time in between. The event of the last change, or the next
// poll, goes on from there.
const renewals = 5

// watching is the state of the goroutine that watches a [Dir].
type watching struct {
	dir     *Dir
	watcher *fsnotify.Watcher  // nil: none could be had
	lost    <-chan error       // the watcher's errors, held back by nobody
	watched map[string]watched // by path
	trouble string             // as last told: why not everything is watched; empty: everything is
}

// watched is one directory as it was when its watch was set.
type watched struct {
	info  os.FileInfo
	files bool  // it holds files of the policy
	set   bool  // there is a watch by this path; not for a second path to the same directory
	err   error // why there is no watch
}

// run watches until ctx ends.
func (w *watching) run(ctx context.Context) {
	d := w.dir
	defer w.drop()
	poll := time.NewTicker(d.poll)
	defer poll.Stop()
	quiet := time.NewTimer(0)
	quiet.Stop()
	defer quiet.Stop()
	var burst time.Time // when the changes not delivered yet began; zero: none are waiting

	for {
		var events <-chan fsnotify.Event
		var errs <-chan error
		if w.watcher != nil {
			events, errs = w.watcher.Events, w.lost
		}
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			switch {
			case !ok:
				w.drop()
			case !w.matters(e):
				continue
			}
		case err, ok := <-errs:
			// Events were lost (overflow), or will be: start afresh.
			if ok {
				d.log.Debug("watching the policy directory was interrupted; the watches are set anew", "dir", d.path, "error", err)
			}
			w.drop()
		case <-poll.C:
			burst = time.Time{}
			quiet.Stop()
			w.renew()
			d.supposeChanged()
			continue
		case <-quiet.C:
			burst = time.Time{}
			w.renew()
			d.supposeChanged()
			continue
		}
		now := time.Now()
		if burst.IsZero() {
			burst = now
		}
		quiet.Reset(min(d.debounce, max(0, burst.Add(d.maxDelay).Sub(now))))
	}
}

// matters reports whether an event can mean a change of the policy. In a
// directory without policy files only names coming and going can: without this
// rule, a log file growing beside the policy directory would have it read over
// and over. Within the policy directory everything matters; a swap never names
// the files it replaces.
func (w *watching) matters(e fsnotify.Event) bool {
	if e.Op&^(fsnotify.Write|fsnotify.Chmod) != 0 {
		return true
	}
	if _, itself := w.watched[e.Name]; itself {
		return true
	}
	at, known := w.watched[filepath.Dir(e.Name)]
	return !known || at.files
}

// drop ends all watches.
func (w *watching) drop() {
	if w.watcher != nil {
		w.watcher.Close() // joins the library's own goroutine
		for range w.lost {
			// until it is closed: then the goroutine that fills it has ended
		}
	}
	w.watcher, w.lost, w.watched = nil, nil, nil
}

// drain takes errors as soon as they come, and keeps one, since one is as good as
// many: all is set anew. The library sends some while it holds the lock that
// WatchList, Add and Remove need (fsnotify 1.10, a directory that was moved and
// is gone): if the goroutine that calls those were the one to take them, both
// would wait for ever. The returned channel is closed when errs is.
func drain(errs <-chan error) <-chan error {
	lost := make(chan error, 1)
	go func() {
		defer close(lost)
		for err := range errs {
			select {
			case lost <- err:
			default:
			}
		}
	}()
	return lost
}

// forget ends the watch on one directory. It must come before another watch by
// the same path: the library keeps watches by path.
func (w *watching) forget(path string) {
	w.watcher.Remove(path) // fails if the watch ended by itself
	delete(w.watched, path)
}

// renew sees to it that what a reader would go by now is what is watched. It
// looks again after having set watches: what changed before they stood gave no
// event.
func (w *watching) renew() {
	for path, at := range w.watched {
		if at.err != nil {
			delete(w.watched, path) // what hindered it may have passed
		}
	}
	var err error
	for range renewals {
		dirs := look(w.dir.path).watch
		w.prune(dirs)
		if w.watcher != nil && len(w.watched) == len(dirs) {
			break
		}
		if err = w.add(dirs); err != nil {
			break
		}
	}
	for _, path := range slices.Sorted(maps.Keys(w.watched)) {
		if err == nil {
			err = w.watched[path].err
		}
	}
	w.tell(err)
}

// prune forgets what is not to be watched any more, or is not what it was.
func (w *watching) prune(dirs map[string]bool) {
	if w.watcher == nil {
		return
	}
	alive := w.watcher.WatchList()
	for path, at := range w.watched {
		files, wanted := dirs[path]
		info, err := os.Stat(path)
		switch {
		case !wanted, err != nil, !os.SameFile(info, at.info):
			w.forget(path)
		case at.set && !slices.Contains(alive, path):
			// It ended by itself: the directory was removed, moved or unmounted,
			// and its successor may have got the number of its inode.
			w.forget(path)
		default:
			at.files = files
			w.watched[path] = at
		}
	}
}

// add watches the given directories as far as they are not watched yet. It
// fails if none can be watched; what hinders one of them is kept with it.
func (w *watching) add(dirs map[string]bool) error {
	if w.watcher == nil {
		watcher, err := w.dir.newWatcher()
		if err != nil {
			return limited(err)
		}
		w.watcher, w.lost, w.watched = watcher, drain(watcher.Errors), make(map[string]watched)
	}
	for path, files := range dirs {
		if _, ok := w.watched[path]; ok {
			continue
		}
		info, err := os.Stat(path)
		if err == nil {
			err = w.watcher.Add(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the survey: the next one differs
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", path, limited(err))
		}
		w.watched[path] = watched{info: info, files: files, err: err}
	}
	for _, path := range w.watcher.WatchList() {
		if at, ok := w.watched[path]; ok {
			at.set = true
			w.watched[path] = at
		}
	}
	return nil
}

// tell logs whether all is watched, whenever that changes.
func (w *watching) tell(err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble == w.trouble {
		return
	}
	w.trouble = trouble
	if err != nil {
		w.dir.log.Warn("the policy directory cannot be watched in full: changes are found by polling",
			"dir", w.dir.path, "poll", w.dir.poll, "error", err)
		return
	}
	w.dir.log.Info("the policy directory is watched again", "dir", w.dir.path)
}

// limited adds what to do where the kernel's limits of inotify are met.
func limited(err error) error {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: raise the sysctl fs.inotify.max_user_instances, or the limit of open files", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: raise the sysctl fs.inotify.max_user_watches", err)
	}
	return err
}
