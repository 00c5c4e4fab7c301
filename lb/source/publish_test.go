package source_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
