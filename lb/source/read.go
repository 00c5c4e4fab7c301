package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go-loadbalancer/lb/reload"
)

// A reading that was overtaken by a change is made again: readings times, with
// a pause between them. Together they outlast any swap, and a directory that
// never holds still delivers a next event anyway.
const (
	readings     = 10
	readingPause = 20 * time.Millisecond
)

// errTorn is the fate of a reading during which something changed.
var errTorn = errors.New("it kept changing while it was read; the next change or poll reads it again")

// Read returns the policy's files, all of one moment: they are read twice, and
// again while the two readings, or the directory before and after, differ. It
// takes well under a second of waiting at worst, and ends early with ctx.
//
// It is an error if the directory or a file cannot be read, if there is no
// policy file at all, or if a limit ([MaxFiles], [MaxFileBytes],
// [MaxTotalBytes]) is exceeded. The error names the path and what to do.
//
// Read may be called at any time, also while the directory is not watched, and
// by several goroutines.
func (d *Dir) Read(ctx context.Context) (reload.Bundle, error) {
	var err error
	for n := range readings {
		if n > 0 {
			if err := pause(ctx, readingPause); err != nil {
				return reload.Bundle{}, err
			}
		}
		if err := ctx.Err(); err != nil {
			return reload.Bundle{}, err
		}
		var b reload.Bundle
		b, err = d.readOnce(ctx)
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, errTorn) && !errors.Is(err, fs.ErrNotExist):
			return reload.Bundle{}, err
		}
	}
	return reload.Bundle{}, err
}

// readOnce makes two readings between two surveys and wants all to agree.
func (d *Dir) readOnce(ctx context.Context) (reload.Bundle, error) {
	before := look(d.path)
	if before.err != nil {
		return reload.Bundle{}, before.err
	}
	first, err := d.readFiles(before)
	if err != nil {
		return reload.Bundle{}, err
	}
	if before.young(d.debounce) {
		// A file written a moment ago may be half written: its writer gets as
		// long to go on as a watched change does.
		if err := pause(ctx, d.debounce); err != nil {
			return reload.Bundle{}, err
		}
	}
	second, err := d.readFiles(before)
	if err != nil {
		return reload.Bundle{}, err
	}
	if !before.same(look(d.path)) || !maps.EqualFunc(first, second, bytes.Equal) {
		return reload.Bundle{}, fmt.Errorf("policy directory %s: %w", d.path, errTorn)
	}
	return reload.Bundle{Files: second, Revision: before.revision}, nil
}

// readFiles reads the files a survey found.
func (d *Dir) readFiles(s *survey) (map[string][]byte, error) {
	out := make(map[string][]byte, len(s.files))
	var total int64
	for _, f := range s.files {
		shown := filepath.Join(d.path, f.name)
		data, err := readFile(f)
		if err != nil {
			return nil, fmt.Errorf("policy file %s cannot be read: %w", shown, err)
		}
		if err := overSize(shown, int64(len(data)), &total); err != nil {
			return nil, err
		}
		out[f.name] = data
	}
	return out, nil
}

// readFile reads at most one byte more than a file may have.
func readFile(f file) ([]byte, error) {
	// Without O_NONBLOCK, opening what has become a named pipe since it was
	// looked at would wait for a writer for ever.
	in, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, f.info) || !info.Mode().IsRegular() {
		return nil, errTorn
	}
	return io.ReadAll(io.LimitReader(in, MaxFileBytes+1))
}

// young reports whether a file was written less than d ago.
func (s *survey) young(d time.Duration) bool {
	for _, f := range s.files {
		if age := time.Since(f.info.ModTime()); 0 <= age && age < d {
			return true
		}
	}
	return false
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
