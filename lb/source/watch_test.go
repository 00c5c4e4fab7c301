package source_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"go-loadbalancer/lb/source"
)

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
	write(t, filepath.Join(root, "other"), files{"t.yaml": "2"})
	write(t, filepath.Join(root, "hop"), nil)
	write(t, filepath.Join(root, "policies"), nil)
	must(t, os.Symlink("../shared/s.yaml", filepath.Join(root, "hop", "h.yaml")))
	must(t, os.Symlink("../hop/h.yaml", filepath.Join(root, "policies", "a.yaml")))
	d := watch(t, filepath.Join(root, "policies"), quick)

	write(t, filepath.Join(root, "shared"), files{"s.yaml": "1"})
	await(t, d, "an edit behind two links", files{"a.yaml": "1"})

	must(t, os.Symlink("../other/t.yaml", filepath.Join(root, "hop", "h.tmp")))
	must(t, os.Rename(filepath.Join(root, "hop", "h.tmp"), filepath.Join(root, "hop", "h.yaml")))
	await(t, d, "a swap of the middle link", files{"a.yaml": "2"})

	write(t, filepath.Join(root, "other"), files{"t.yaml": "3"})
	await(t, d, "an edit behind the swapped link", files{"a.yaml": "3"})
}

// A link goes round several directories that all stay: only its own directory
// tells of that, and what it leads to no more is watched no more.
func TestLinkGoesRound(t *testing.T) {
	root := t.TempDir()
	for n := range 10 {
		write(t, filepath.Join(root, "targets", fmt.Sprint(n)), generation(n))
	}
	path := filepath.Join(root, "links", "current")
	write(t, filepath.Dir(path), nil)
	point := func(n int) {
		must(t, os.Symlink(fmt.Sprint("../targets/", n), path+".tmp"))
		must(t, os.Rename(path+".tmp", path))
	}
	point(0)
	d := source.NewDir(path, quick)
	var made watchers
	d.SetNewWatcher(made.make)
	start(t, d)
	for n := 1; n <= 30; n++ {
		point(n % 10)
		await(t, d, fmt.Sprint("target ", n%10), generation(n%10))
	}
	if list := made.last().WatchList(); len(made.made) != 1 || len(list) != 3 {
		t.Errorf("%d watchers, the last one watches %v", len(made.made), list)
	}
}

// What changes after the directory was looked over, and before the watches
// stand, is watched too.
func TestChangeWhileWatchesAreSet(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a", "old"), generation(0))
	write(t, filepath.Join(root, "b", "new"), generation(1))
	path := filepath.Join(root, "current")
	must(t, os.Symlink("a/old", path))
	d := source.NewDir(path, quick)
	var made watchers
	d.SetNewWatcher(func() (*fsnotify.Watcher, error) {
		must(t, os.Remove(path))
		must(t, os.Symlink("b/new", path))
		return made.make()
	})
	start(t, d)
	write(t, filepath.Join(root, "b", "new"), generation(3))
	await(t, d, "a change of the new directory", generation(3))
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
	for n := 1; n <= 10; n++ {
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
		must(t, os.Rename(mount, fmt.Sprint(mount, n))) // and it stays there
		must(t, os.Rename(mount+".new", mount))
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
