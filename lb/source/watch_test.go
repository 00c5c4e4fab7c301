package source_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"go-loadbalancer/lb/source"
)

// patience is how long anything may take before a test gives up.
const patience = 10 * time.Second

// watch starts a directory and takes its first delivery.
func watch(t *testing.T, path string, o source.Options) *source.Dir {
	t.Helper()
	d := source.NewDir(path, o)
	start(t, d)
	return d
}

func start(t *testing.T, d *source.Dir) {
	t.Helper()
	d.Start()
	t.Cleanup(d.Close)
	delivered(t, d)
}

func delivered(t *testing.T, d *source.Dir) {
	t.Helper()
	select {
	case <-d.Changed():
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
	}
}

// await follows deliveries until the directory reads as wanted.
func await(t *testing.T, d *source.Dir, what string, want files) {
	t.Helper()
	deadline := time.After(patience)
	var got files
	var err error
	for {
		select {
		case <-d.Changed():
		case <-deadline:
			t.Fatalf("%s was never delivered; last read: %v, %v", what, got, err)
		}
		if got, _, err = read(d); err == nil && maps.Equal(got, want) {
			return
		}
	}
}

// awaitError follows deliveries until the directory cannot be read.
func awaitError(t *testing.T, d *source.Dir, what string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case <-d.Changed():
		case <-deadline:
			t.Fatalf("%s was never delivered", what)
		}
		if _, _, err := read(d); err != nil {
			return
		}
	}
}

// configMap is a volume as kubelet keeps it.
type configMap struct {
	dir string
	n   int
}

// swap publishes files in kubelet's order of steps: a new directory, the link
// to it renamed over the old one, links for new files, then the stale links and
// the old directory removed.
func (c *configMap) swap(t *testing.T, fs files) {
	t.Helper()
	c.n++
	data := filepath.Join(c.dir, "..data")
	old, _ := os.Readlink(data)
	dir := fmt.Sprintf("..2026_11_23_10_00_00.%09d", c.n)
	write(t, filepath.Join(c.dir, dir), fs)
	must(t, os.Symlink(dir, data+"_tmp"))
	must(t, os.Rename(data+"_tmp", data))
	for name := range fs {
		if err := os.Symlink("..data/"+name, filepath.Join(c.dir, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	links, err := os.ReadDir(c.dir)
	must(t, err)
	for _, l := range links {
		if _, ok := fs[l.Name()]; !ok && !strings.HasPrefix(l.Name(), "..") {
			must(t, os.Remove(filepath.Join(c.dir, l.Name())))
		}
	}
	if old != "" {
		must(t, os.RemoveAll(filepath.Join(c.dir, old)))
	}
}

// gitSync is a checkout as git-sync keeps it.
type gitSync struct {
	root string
	n    int
}

func (g *gitSync) link() string { return filepath.Join(g.root, "current") }

func (g *gitSync) commit() string { return fmt.Sprintf("%040x", g.n) }

func (g *gitSync) swap(t *testing.T, fs files) {
	t.Helper()
	old := filepath.Join(g.root, ".worktrees", g.commit())
	g.n++
	write(t, filepath.Join(g.root, ".worktrees", g.commit()), fs)
	must(t, os.Symlink(".worktrees/"+g.commit(), g.link()+".tmp"))
	must(t, os.Rename(g.link()+".tmp", g.link()))
	must(t, os.RemoveAll(old))
}

// generation is a policy whose two files must always be of one number, and now
// and then a third that comes and goes.
func generation(n int) files {
	fs := files{"a.yaml": fmt.Sprint("a", n), "b.yaml": fmt.Sprint("b", n)}
	if n%3 == 0 {
		fs["c.yaml"] = fmt.Sprint("c", n)
	}
	return fs
}

// torn reports whether files are not those of one generation.
func torn(fs files) bool {
	var n int
	if _, err := fmt.Sscanf(fs["a.yaml"], "a%d", &n); err != nil {
		return true
	}
	return !maps.Equal(fs, generation(n))
}

// publishers are the ways in which a whole generation appears at one moment.
var publishers = map[string]func(t *testing.T) (path string, publish func(*testing.T, files)){
	"ConfigMap": func(t *testing.T) (string, func(*testing.T, files)) {
		c := &configMap{dir: t.TempDir()}
		return c.dir, c.swap
	},
	"ConfigMap behind a link": func(t *testing.T) (string, func(*testing.T, files)) {
		c := &configMap{dir: t.TempDir()}
		path := filepath.Join(t.TempDir(), "policies")
		must(t, os.Symlink(c.dir, path))
		return path, c.swap
	},
	"git-sync": func(t *testing.T) (string, func(*testing.T, files)) {
		g := &gitSync{root: t.TempDir()}
		return g.link(), g.swap
	},
	"directory renamed in": func(t *testing.T) (string, func(*testing.T, files)) {
		root := t.TempDir()
		path := filepath.Join(root, "policies")
		return path, func(t *testing.T, fs files) {
			write(t, path+".new", fs)
			if err := os.Rename(path, path+".old"); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			must(t, os.Rename(path+".new", path))
			must(t, os.RemoveAll(path+".old"))
		}
	},
}

// Every one of many swaps is delivered, by events alone.
func TestEverySwapIsDelivered(t *testing.T) {
	for name, publisher := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, publish := publisher(t)
			publish(t, generation(0))
			d := watch(t, path, quick)
			for n := 1; n <= 120; n++ {
				publish(t, generation(n))
				await(t, d, fmt.Sprint("generation ", n), generation(n))
			}
		})
	}
}

// Bursts of swaps without a pause, while somebody reads all the time: no
// reading is torn, and the last state of every burst is delivered.
func TestSwapsWhileReading(t *testing.T) {
	for name, publisher := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, publish := publisher(t)
			publish(t, generation(0))
			d := watch(t, path, quick)

			other := source.NewDir(path, quick)
			stop := make(chan struct{})
			var reader sync.WaitGroup
			var good atomic.Int64
			reader.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					// Errors are fine: a directory that never holds still
					// cannot be read.
					if got, _, err := read(other); err == nil {
						good.Add(1)
						if torn(got) {
							t.Errorf("torn reading: %v", got)
							return
						}
					}
				}
			})
			n := 0
			for range 15 {
				for range 10 {
					n++
					publish(t, generation(n))
				}
				await(t, d, fmt.Sprint("generation ", n), generation(n))
			}
			close(stop)
			reader.Wait()
			t.Logf("%d good readings beside %d swaps", good.Load(), n)
		})
	}
}

func TestRevisionFollowsGitSync(t *testing.T) {
	g := &gitSync{root: t.TempDir()}
	for n := range 5 {
		g.swap(t, generation(n))
		_, revision, err := read(source.NewDir(g.link(), quick))
		if err != nil || revision != g.commit() {
			t.Errorf("revision %q, error %v; want %q", revision, err, g.commit())
		}
	}
}

// Editors change files in place, each in its own way.
func TestEditsAreDelivered(t *testing.T) {
	for name, edit := range map[string]func(t *testing.T, path, text string){
		"truncate and write": func(t *testing.T, path, text string) {
			must(t, os.WriteFile(path, []byte(text), 0o644))
		},
		"write in chunks": func(t *testing.T, path, text string) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			must(t, err)
			for _, c := range []byte(text) {
				_, err := f.Write([]byte{c})
				must(t, err)
			}
			must(t, f.Close())
		},
		"overwrite without truncating": func(t *testing.T, path, text string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString(text)
			must(t, err)
			must(t, f.Truncate(int64(len(text))))
			must(t, f.Close())
		},
		"rename over": func(t *testing.T, path, text string) {
			must(t, os.WriteFile(path+".tmp", []byte(text), 0o644))
			must(t, os.Rename(path+".tmp", path))
		},
		"backup, then a new file": func(t *testing.T, path, text string) {
			must(t, os.Rename(path, path+"~"))
			must(t, os.WriteFile(path, []byte(text), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, files{"a.yaml": "a", "b.yaml": "b"})
			d := watch(t, dir, quick)
			for n := range 30 {
				text := strings.Repeat(fmt.Sprint("text ", n, " "), 1+n%7)
				edit(t, filepath.Join(dir, "a.yaml"), text)
				await(t, d, fmt.Sprint("edit ", n), files{"a.yaml": text, "b.yaml": "b"})
			}
		})
	}
}

// A file reached by a link is edited where it really is.
func TestEditBehindLinkIsDelivered(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "shared"), files{"s.yaml": "0"})
	write(t, filepath.Join(root, "hop"), nil)
	write(t, filepath.Join(root, "policies"), nil)
	must(t, os.Symlink("../shared/s.yaml", filepath.Join(root, "hop", "h.yaml")))
	must(t, os.Symlink("../hop/h.yaml", filepath.Join(root, "policies", "a.yaml")))
	d := watch(t, filepath.Join(root, "policies"), quick)

	write(t, filepath.Join(root, "shared"), files{"s.yaml": "1"})
	await(t, d, "an edit behind two links", files{"a.yaml": "1"})

	write(t, filepath.Join(root, "shared"), files{"t.yaml": "2"})
	must(t, os.Symlink("../shared/t.yaml", filepath.Join(root, "hop", "h.tmp")))
	must(t, os.Rename(filepath.Join(root, "hop", "h.tmp"), filepath.Join(root, "hop", "h.yaml")))
	await(t, d, "a swap of the middle link", files{"a.yaml": "2"})

	write(t, filepath.Join(root, "shared"), files{"t.yaml": "3"})
	await(t, d, "an edit behind the swapped link", files{"a.yaml": "3"})
}

func TestFilesComeAndGo(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, files{"a.yaml": "a"})
	d := watch(t, dir, quick)
	write(t, dir, files{"b.yaml": "b"})
	await(t, d, "a new file", files{"a.yaml": "a", "b.yaml": "b"})
	must(t, os.Remove(filepath.Join(dir, "a.yaml")))
	await(t, d, "a removal", files{"b.yaml": "b"})
	must(t, os.Rename(filepath.Join(dir, "b.yaml"), filepath.Join(dir, "c.yaml")))
	await(t, d, "a new name", files{"c.yaml": "b"})
	must(t, os.Remove(filepath.Join(dir, "c.yaml")))
	awaitError(t, d, "the removal of the last file")
	write(t, dir, files{"d.yaml": "d"})
	await(t, d, "a file after none", files{"d.yaml": "d"})
}

// A directory that vanishes is an error, and is picked up when it is back.
func TestDirectoryRemovedAndMadeAgain(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "policies")
	write(t, path, generation(0))
	d := watch(t, path, quick)
	for n := 1; n <= 20; n++ {
		must(t, os.RemoveAll(path))
		awaitError(t, d, "the removal")
		write(t, path, generation(n))
		await(t, d, fmt.Sprint("generation ", n), generation(n))
		write(t, path, generation(n+3))
		await(t, d, fmt.Sprint("an edit of generation ", n), generation(n+3))
	}
}

// A parent of the directory is replaced, as by a new mount.
func TestParentReplaced(t *testing.T) {
	root := t.TempDir()
	mount := filepath.Join(root, "mount")
	write(t, filepath.Join(mount, "policies"), generation(0))
	d := watch(t, filepath.Join(mount, "policies"), quick)
	for n := 1; n <= 20; n++ {
		write(t, filepath.Join(mount+".new", "policies"), generation(n))
		must(t, os.Rename(mount, mount+".old"))
		must(t, os.Rename(mount+".new", mount))
		must(t, os.RemoveAll(mount+".old"))
		await(t, d, fmt.Sprint("generation ", n), generation(n))
	}
}

// A directory that is not there at the start is picked up, whichever way it
// comes into being.
func TestDirectoryAppears(t *testing.T) {
	for name, c := range map[string]struct {
		steps []func(t *testing.T, root string)
	}{
		"level by level": {[]func(t *testing.T, root string){
			func(t *testing.T, root string) { must(t, os.Mkdir(root+"/x", 0o755)) },
			func(t *testing.T, root string) { must(t, os.Mkdir(root+"/x/y", 0o755)) },
			func(t *testing.T, root string) { must(t, os.Mkdir(root+"/x/y/policies", 0o755)) },
			func(t *testing.T, root string) { write(t, root+"/x/y/policies", files{"a.yaml": "a"}) },
		}},
		"all at once": {[]func(t *testing.T, root string){
			func(t *testing.T, root string) { write(t, root+"/x/y/policies", files{"a.yaml": "a"}) },
		}},
		"renamed in": {[]func(t *testing.T, root string){
			func(t *testing.T, root string) { write(t, root+"/z/y/policies", files{"a.yaml": "a"}) },
			func(t *testing.T, root string) { must(t, os.Rename(root+"/z", root+"/x")) },
		}},
		"link before its target": {[]func(t *testing.T, root string){
			func(t *testing.T, root string) { must(t, os.Symlink("later/on", root+"/x")) },
			func(t *testing.T, root string) { must(t, os.Mkdir(root+"/later", 0o755)) },
			func(t *testing.T, root string) { write(t, root+"/later/on/y/policies", files{"a.yaml": "a"}) },
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			d := watch(t, root+"/x/y/policies", quick)
			for _, step := range c.steps[:len(c.steps)-1] {
				step(t, root)
				delivered(t, d)
			}
			c.steps[len(c.steps)-1](t, root)
			await(t, d, "the directory", files{"a.yaml": "a"})
		})
	}
}

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

// Changes that never pause are delivered all the same.
func TestDebounceIsCapped(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, generation(0))
	d := watch(t, dir, source.Options{Debounce: time.Hour, MaxDelay: 100 * time.Millisecond, Poll: time.Hour})
	deadline := time.After(patience)
	for n := 0; ; n++ {
		write(t, dir, files{"a.yaml": fmt.Sprint(n)})
		select {
		case <-d.Changed():
			return
		case <-deadline:
			t.Fatal("nothing was delivered")
		case <-time.After(time.Millisecond):
		}
	}
}

// A file that grows beside the policy directory is nobody's business.
func TestSiblingWritesAreNoChange(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "policies")
	write(t, dir, generation(0))
	write(t, root, files{"access.log": ""})
	d := watch(t, dir, quick)
	for n := range 100 {
		write(t, root, files{"access.log": strings.Repeat("line\n", n)})
	}
	select {
	case <-d.Changed():
		t.Error("a log file's growth was delivered as a change")
	case <-time.After(20 * quick.Debounce):
	}
	write(t, dir, generation(3))
	await(t, d, "a change after that", generation(3))
}

func TestStartAndClose(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, generation(0))
	d := source.NewDir(dir, quick)
	d.Close() // nothing to close
	for n := range 3 {
		d.Start()
		d.Start() // is being watched already
		await(t, d, "the first state", generation(3*n))
		write(t, dir, generation(3*n+3))
		await(t, d, "a change", generation(3*n+3))
		d.Close()
		d.Close()
	}
}
