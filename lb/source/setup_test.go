package source_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go-loadbalancer/lb/source"
)

// files are contents by name.
type files map[string]string

// write makes the files in a directory, and the directory.
func write(t *testing.T, dir string, fs files) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	for name, text := range fs {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read reads once and returns the files as text.
func read(d *source.Dir) (files, string, error) {
	b, err := d.Read(context.Background())
	if err != nil {
		return nil, "", err
	}
	out := make(files)
	for name, data := range b.Files {
		out[name] = string(data)
	}
	return out, b.Revision, nil
}

// quick are options for tests: events alone deliver, and soon.
var quick = source.Options{Debounce: 5 * time.Millisecond, MaxDelay: 200 * time.Millisecond, Poll: time.Hour}

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
