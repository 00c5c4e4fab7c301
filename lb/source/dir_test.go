package source_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/source"
)

func TestReadTakesPolicyFilesOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, files{
		"b.yaml": "b", "a.yml": "a", "empty.yaml": "",
		".hidden.yaml": "no", ".a.yaml.swp": "no", "a.yaml~": "no", "README.md": "no", "a.json": "no", "yaml": "no",
	})
	write(t, filepath.Join(dir, "canary"), files{"c.yaml": "no"})
	write(t, filepath.Join(dir, "canary.yaml"), files{"c.yaml": "no"})      // a directory, whatever its name
	must(t, os.Symlink("nobody@host.1234", filepath.Join(dir, ".#a.yaml"))) // an editor's lock leads nowhere
	write(t, filepath.Join(dir, "..", "shared"), files{"s.yaml": "s"})
	must(t, os.Symlink("../shared/s.yaml", filepath.Join(dir, "link.yaml"))) // a link is followed

	got, revision, err := read(source.NewDir(dir, quick))
	must(t, err)
	want := files{"a.yml": "a", "b.yaml": "b", "empty.yaml": "", "link.yaml": "s"}
	if diff := cmp.Diff(want, got); diff != "" || revision != "" {
		t.Errorf("revision %q, files (-want +got):\n%s", revision, diff)
	}
}

func TestReadRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want []string // parts of the error
	}{
		"missing directory": {
			func(t *testing.T, dir string) { must(t, os.Remove(dir)) },
			[]string{"does not exist", "create it, or correct --policies"},
		},
		"not a directory": {
			func(t *testing.T, dir string) { must(t, os.Remove(dir)); must(t, os.WriteFile(dir, nil, 0o644)) },
			[]string{"is not a directory"},
		},
		"below a file": {
			func(t *testing.T, dir string) {
				must(t, os.RemoveAll(filepath.Dir(dir)))
				must(t, os.WriteFile(filepath.Dir(dir), nil, 0o644))
			},
			[]string{"cannot be reached", "not a directory"},
		},
		"dangling directory link": {
			func(t *testing.T, dir string) { must(t, os.Remove(dir)); must(t, os.Symlink("gone", dir)) },
			[]string{"does not exist"},
		},
		"loop of directory links": {
			func(t *testing.T, dir string) {
				must(t, os.Remove(dir))
				must(t, os.Symlink("other", dir))
				must(t, os.Symlink("policies", filepath.Join(filepath.Dir(dir), "other")))
			},
			[]string{"loop of symbolic links"},
		},
		"no policy file": {
			func(t *testing.T, dir string) { write(t, dir, files{"README.md": "x"}) },
			[]string{"holds no policy", "*.yaml"},
		},
		"unreadable file": { // unreadable even to root
			func(t *testing.T, dir string) { must(t, os.Symlink("/proc/self/mem", filepath.Join(dir, "x.yaml"))) },
			[]string{"x.yaml", "cannot be read"},
		},
		"huge file": {
			func(t *testing.T, dir string) {
				write(t, dir, files{"x.yaml": ""})
				must(t, os.Truncate(filepath.Join(dir, "x.yaml"), 1<<40))
			},
			[]string{"x.yaml", "larger than 1048576 bytes"},
		},
		"endless file": { // says it is empty, and is not
			func(t *testing.T, dir string) {
				const endless = "/proc/kallsyms"
				if data, err := os.ReadFile(endless); err != nil || len(data) <= source.MaxFileBytes {
					t.Skip("this machine has no file that is larger than it says")
				}
				must(t, os.Symlink(endless, filepath.Join(dir, "x.yaml")))
			},
			[]string{"x.yaml", "larger than 1048576 bytes"},
		},
		"too much in all": {
			func(t *testing.T, dir string) {
				for n := range 5 {
					write(t, dir, files{fmt.Sprintf("%d.yaml", n): strings.Repeat("#", source.MaxFileBytes)})
				}
			},
			[]string{"4.yaml", "more than 4194304 bytes"},
		},
		"too many files": {
			func(t *testing.T, dir string) {
				for n := range source.MaxFiles + 1 {
					write(t, dir, files{fmt.Sprintf("%02d.yaml", n): ""})
				}
			},
			[]string{"more than 64 policy files", "64.yaml"},
		},
		"dangling file link": {
			func(t *testing.T, dir string) { must(t, os.Symlink("gone.yaml", filepath.Join(dir, "x.yaml"))) },
			[]string{"x.yaml", "leads nowhere"},
		},
		"loop of file links": {
			func(t *testing.T, dir string) {
				must(t, os.Symlink("b.yaml", filepath.Join(dir, "a.yaml")))
				must(t, os.Symlink("a.yaml", filepath.Join(dir, "b.yaml")))
			},
			[]string{"a.yaml", "loop of symbolic links"},
		},
		"named pipe": {
			func(t *testing.T, dir string) { must(t, syscall.Mkfifo(filepath.Join(dir, "x.yaml"), 0o644)) },
			[]string{"x.yaml", "named pipe"},
		},
		"device": {
			func(t *testing.T, dir string) { must(t, os.Symlink("/dev/zero", filepath.Join(dir, "x.yaml"))) },
			[]string{"x.yaml", "a device"},
		},
		"dangling ..data": {
			func(t *testing.T, dir string) { must(t, os.Symlink("..gone", filepath.Join(dir, "..data"))) },
			[]string{"..data leads nowhere"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "parent", "policies")
			must(t, os.MkdirAll(dir, 0o755))
			c.make(t, dir)
			_, _, err := read(source.NewDir(dir, quick))
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range append(c.want, dir) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestReadEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := source.NewDir(t.TempDir(), quick).Read(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	// Also in the middle of waiting for a young file to be finished.
	dir := t.TempDir()
	write(t, dir, files{"a.yaml": "a"})
	ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = source.NewDir(dir, source.Options{Debounce: time.Hour}).Read(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
}

func TestRevision(t *testing.T) {
	const sha1 = "0123456789abcdef0123456789ABCDEF01234567"
	const sha256 = sha1 + "89abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		links files // name → target
		path  string
		want  string
	}{
		"git-sync":            {files{"current": ".worktrees/" + sha1}, "current", sha1},
		"sha-256 repository":  {files{"current": ".worktrees/" + sha256}, "current", sha256},
		"a link before it":    {files{"current": ".worktrees/" + sha1, "policies": "current"}, "policies", sha1},
		"directory within it": {files{"current": ".worktrees/" + sha1}, "current/sub", sha1},
		"no link":             {nil, ".worktrees/" + sha1, ""},
		"another name":        {files{"current": ".worktrees/v1"}, "current", ""},
		"one digit short":     {files{"current": ".worktrees/" + sha1[1:]}, "current", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, tree := range []string{sha1, sha256, "v1", sha1[1:]} {
				write(t, filepath.Join(root, ".worktrees", tree), files{"a.yaml": "a"})
				write(t, filepath.Join(root, ".worktrees", tree, "sub"), files{"a.yaml": "a"})
			}
			for link, to := range c.links {
				must(t, os.Symlink(to, filepath.Join(root, link)))
			}
			got, revision, err := read(source.NewDir(filepath.Join(root, c.path), quick))
			if err != nil || revision != c.want || !maps.Equal(got, files{"a.yaml": "a"}) {
				t.Errorf("revision %q, files %v, error %v; want revision %q", revision, got, err, c.want)
			}
		})
	}
}

// A half-written file is waited for.
func TestReadWaitsForWriter(t *testing.T) {
	dir := t.TempDir()
	d := source.NewDir(dir, source.Options{Debounce: 100 * time.Millisecond})
	for n := range 10 {
		want := fmt.Sprintf("first half %d, second half %d", n, n)
		f, err := os.Create(filepath.Join(dir, "a.yaml"))
		must(t, err)
		_, err = f.WriteString(want[:len(want)/2])
		must(t, err)
		type result struct {
			files files
			err   error
		}
		done := make(chan result)
		go func() {
			got, _, err := read(d)
			done <- result{got, err}
		}()
		// Well within the time given to a writer, and after the first reading
		// on most runs.
		select {
		case r := <-done:
			t.Fatalf("read %v, %v while the file was being written", r.files, r.err)
		case <-time.After(10 * time.Millisecond):
		}
		_, err = f.WriteString(want[len(want)/2:])
		must(t, err)
		must(t, f.Close())
		if r := <-done; r.err != nil || r.files["a.yaml"] != want {
			t.Fatalf("read %v, %v; want %q", r.files, r.err, want)
		}
	}
}

func TestMissingDirectoryIsNotExist(t *testing.T) {
	_, _, err := read(source.NewDir(filepath.Join(t.TempDir(), "none"), quick))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that wraps fs.ErrNotExist", err)
	}
}
