package source_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/source"
)

func bundle(n int) reload.Bundle {
	return reload.Bundle{
		Revision: fmt.Sprint("revision ", n),
		Files:    map[string][]byte{"a.yaml": fmt.Append(nil, "a", n), "b.yaml": {0, 0xff, '\n'}, "empty.yaml": {}},
	}
}

func TestStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "state")
	s := source.NewStateDir(dir)
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that wraps fs.ErrNotExist and names the directory", err)
	}
	for n := range 3 {
		must(t, s.Save(bundle(n)))
		got, err := source.NewStateDir(dir).Load()
		must(t, err)
		if diff := cmp.Diff(bundle(n), got); diff != "" {
			t.Errorf("loaded (-saved +got):\n%s", diff)
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, entries[0].Name()): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, error %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

// The largest policy there may be can be kept.
func TestStateDirHoldsTheLargestPolicy(t *testing.T) {
	want := reload.Bundle{Files: make(map[string][]byte)}
	for n := range source.MaxTotalBytes / source.MaxFileBytes {
		want.Files[fmt.Sprint(n, ".yaml")] = bytes.Repeat([]byte{byte(n)}, source.MaxFileBytes)
	}
	s := source.NewStateDir(t.TempDir())
	must(t, s.Save(want))
	got, err := s.Load()
	must(t, err)
	if !maps.EqualFunc(want.Files, got.Files, bytes.Equal) {
		t.Error("loaded another policy than was saved")
	}
}

// Whatever is done to the kept file, Load returns what was saved or an error
// that says what to do.
func TestStateDirDamaged(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	s := source.NewStateDir(dir)
	must(t, s.Save(bundle(1)))
	path := kept(t, dir)
	good, err := os.ReadFile(path)
	must(t, err)

	damaged := [][]byte{
		nil, []byte("\n"), []byte("{}"), []byte("garbage"), bytes.Repeat([]byte{0}, len(good)),
		append(bytes.Clone(good), ' '), append(bytes.Clone(good), good...), bytes.Repeat(good, 1<<15),
	}
	for n := range good {
		damaged = append(damaged, good[:n])
	}
	for range 500 {
		flipped := bytes.Clone(good)
		flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
		damaged = append(damaged, flipped)
	}
	for _, data := range damaged {
		must(t, os.WriteFile(path, data, 0o600))
		if b, err := s.Load(); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove it") {
			t.Fatalf("loaded %v, error %v from %q", b, err, data[:min(len(data), 200)])
		}
	}
	must(t, s.Save(bundle(2))) // over the damaged one
	if b, err := s.Load(); err != nil || b.Revision != "revision 2" {
		t.Errorf("loaded %v, %v", b, err)
	}
}

// kept is the path of the one file of a state directory.
func kept(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Fatalf("%d files in the state directory, want 1", len(entries))
	}
	return filepath.Join(dir, entries[0].Name())
}

func TestStateDirRefusesOtherKinds(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory":  func(path string) error { return os.Mkdir(path, 0o700) },
		"named pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"endless":    func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := source.NewStateDir(dir)
			must(t, s.Save(bundle(1)))
			path := kept(t, dir)
			must(t, os.Remove(path))
			must(t, make(path))
			if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A directory that cannot be written to is an error, and what was kept stays.
func TestStateDirCannotBeWritten(t *testing.T) {
	t.Run("no directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o600))
		dir := filepath.Join(file, "state")
		if err := source.NewStateDir(dir).Save(bundle(1)); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("the way is blocked", func(t *testing.T) {
		dir := t.TempDir()
		s := source.NewStateDir(dir)
		must(t, s.Save(bundle(1)))
		must(t, os.MkdirAll(filepath.Join(dir, "last-good.new", "full"), 0o700))
		if err := s.Save(bundle(2)); err == nil {
			t.Error("no error")
		}
		if b, err := s.Load(); err != nil || b.Revision != "revision 1" {
			t.Errorf("loaded %v, %v; want the first", b, err)
		}
	})
	t.Run("full disk", func(t *testing.T) {
		var limit syscall.Rlimit
		must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
		dir := t.TempDir()
		s := source.NewStateDir(dir)
		must(t, s.Save(bundle(1)))
		// A file-size limit fails a write in the middle, as a full disk does;
		// the Go runtime ignores the signal that comes with it. It holds for the test's
		// own log too, and so must be larger than that ever gets.
		tight := limit
		tight.Cur = 1 << 20
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &tight))
		large := bundle(2)
		large.Files["large.yaml"] = make([]byte, 1<<21)
		err := s.Save(large)
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		if err == nil {
			t.Error("no error")
		}
		if b, err := s.Load(); err != nil || b.Revision != "revision 1" {
			t.Errorf("loaded %v, %v; want the first", b, err)
		}
		kept(t, dir) // nothing else is left behind
	})
	t.Run("a leftover of a crash", func(t *testing.T) {
		dir := t.TempDir()
		victim := filepath.Join(t.TempDir(), "victim")
		must(t, os.WriteFile(victim, []byte("untouched"), 0o600))
		must(t, os.Symlink(victim, filepath.Join(dir, "last-good.new")))
		must(t, source.NewStateDir(dir).Save(bundle(1)))
		if data, _ := os.ReadFile(victim); string(data) != "untouched" {
			t.Error("a link was written through")
		}
		kept(t, dir)
	})
}
