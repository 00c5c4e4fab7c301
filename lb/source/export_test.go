package source

import "github.com/fsnotify/fsnotify"

// SetNewWatcher replaces how watchers are made, so that a test can refuse them,
// or get hold of one and break it. It must be called before Start.
func (d *Dir) SetNewWatcher(f func() (*fsnotify.Watcher, error)) { d.newWatcher = f }

// Drain is drain, for a test of what the library's lock needs.
var Drain = drain
