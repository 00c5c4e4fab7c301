package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go-loadbalancer/lb/policy"
)

// Limits of one policy directory. What exceeds them is refused, and never read
// into memory.
const (
	MaxFiles      = 64
	MaxFileBytes  = 1 << 20 // of one file
	MaxTotalBytes = 4 << 20 // of all files
)

// configMapLink is the link a ConfigMap, Secret or projected volume swaps: its
// files are links through it, so that all change at one moment.
const configMapLink = "..data"

// survey is what a policy directory looks like at one moment: which files make
// the policy, where they really are, and what must be watched to learn that
// this is no longer so. It is made without opening any file.
type survey struct {
	root     string      // the policy directory, free of symbolic links
	rootInfo os.FileInfo // its identity
	revision string
	files    []file // sorted by name

	// watch holds every directory to watch. Those that are true hold files of
	// the policy; in the others only the coming and going of names matters.
	watch map[string]bool

	err error // why there is no policy; watch is good all the same
}

// file is one file of a policy.
type file struct {
	name string // in the policy directory
	path string // free of symbolic links
	info os.FileInfo
}

// look makes a survey of an absolute path.
func look(path string) *survey {
	s := &survey{watch: make(map[string]bool)}
	w := resolve(path)
	s.over(w)
	if w.err != nil {
		s.err = missing(path, w.err)
		return s
	}
	info, err := os.Stat(w.target)
	switch {
	case err != nil:
		s.err = missing(path, err)
		return s
	case !info.IsDir():
		s.err = fmt.Errorf("policy directory %s is not a directory: give the directory that holds the policy files", path)
		return s
	}
	s.root, s.rootInfo, s.revision = w.target, info, w.commit
	s.watch[s.root] = true
	s.err = s.list(path)
	return s
}

// list finds the files. Names in errors are as the operator wrote the path.
func (s *survey) list(path string) error {
	entries, err := os.ReadDir(s.root)
	if err != nil {
		return fmt.Errorf("policy directory %s cannot be listed: %w", path, err)
	}
	places := make(map[string]string) // name → path
	data := ""
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == configMapLink && e.Type()&fs.ModeSymlink != 0
	}) {
		// The link is followed once: its files are of one moment, whatever
		// happens to the link meanwhile.
		w := resolve(filepath.Join(s.root, configMapLink))
		s.over(w)
		if w.err != nil {
			return fmt.Errorf("policy directory %s: %s leads nowhere: %w", path, configMapLink, w.err)
		}
		data = w.target
		s.watch[data] = true
		inside, err := os.ReadDir(data)
		if err != nil {
			return fmt.Errorf("policy directory %s: %s cannot be listed: %w", path, configMapLink, err)
		}
		for _, e := range inside {
			if policy.IsPolicyFile(e.Name()) {
				places[e.Name()] = filepath.Join(data, e.Name())
			}
		}
	}
	for _, e := range entries {
		if !policy.IsPolicyFile(e.Name()) {
			continue
		}
		place := filepath.Join(s.root, e.Name())
		if data != "" && e.Type()&fs.ModeSymlink != 0 {
			// A link through the swapped one is listed already; or its file is
			// gone with the last swap and the link soon will be.
			if to, err := os.Readlink(place); err == nil && strings.HasPrefix(to, configMapLink+"/") {
				continue
			}
		}
		places[e.Name()] = place
	}

	names := make([]string, 0, len(places))
	for name := range places {
		names = append(names, name)
	}
	slices.Sort(names)
	var total int64
	for _, name := range names {
		f, err := s.find(name, places[name])
		switch {
		case err != nil:
			return fmt.Errorf("policy file %s %w", filepath.Join(path, name), err)
		case f.info.IsDir():
			continue // a directory is no part of the policy, whatever its name
		case !f.info.Mode().IsRegular():
			return fmt.Errorf("policy file %s is not a regular file (%s): remove or rename it", filepath.Join(path, name), kind(f.info.Mode()))
		case len(s.files) == MaxFiles:
			return fmt.Errorf("policy directory %s holds more than %d policy files (%s is one too many): merge some; a file may hold several documents", path, MaxFiles, name)
		}
		if err := overSize(filepath.Join(path, name), f.info.Size(), &total); err != nil {
			return err
		}
		s.files = append(s.files, f)
	}
	if len(s.files) == 0 {
		return fmt.Errorf("policy directory %s holds no policy: put at least one *.yaml or *.yml file there", path)
	}
	return nil
}

// find follows one file to where it really is.
func (s *survey) find(name, place string) (file, error) {
	w := resolve(place)
	s.over(w)
	switch {
	case errors.Is(w.err, syscall.ELOOP):
		return file{}, fmt.Errorf("is a loop of symbolic links, or more than %d of them: %w", maxLinks, w.err)
	case w.err != nil:
		return file{}, fmt.Errorf("leads nowhere: %w", w.err)
	}
	info, err := os.Lstat(w.target)
	if err != nil {
		return file{}, fmt.Errorf("cannot be read: %w", err)
	}
	s.watch[filepath.Dir(w.target)] = true
	return file{name: name, path: w.target, info: info}, nil
}

// over adds the directories of a way to those watched.
func (s *survey) over(w way) {
	for _, dir := range w.dirs {
		if !s.watch[dir] {
			s.watch[dir] = false // a key all the same
		}
	}
}

// same reports whether two surveys found the same files, untouched.
func (s *survey) same(t *survey) bool {
	return s.err == nil && t.err == nil &&
		os.SameFile(s.rootInfo, t.rootInfo) && s.revision == t.revision &&
		slices.EqualFunc(s.files, t.files, func(a, b file) bool {
			return a.name == b.name && a.path == b.path && unchanged(a.info, b.info)
		})
}

// unchanged reports whether two looks saw the same file in the same state, as
// far as its metadata tells.
func unchanged(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// overSize adds a file's size to the total and returns an error if either is
// more than is read.
func overSize(path string, size int64, total *int64) error {
	*total += size
	switch {
	case size > MaxFileBytes:
		return fmt.Errorf("policy file %s is larger than %d bytes: split it", path, MaxFileBytes)
	case *total > MaxTotalBytes:
		return fmt.Errorf("policy file %s brings the policy to more than %d bytes: make the policy smaller", path, MaxTotalBytes)
	}
	return nil
}

// missing explains why a policy directory is not there.
func missing(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("policy directory %s does not exist: create it, or correct --policies (%w)", path, err)
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("policy directory %s is a loop of symbolic links, or more than %d of them: %w", path, maxLinks, err)
	}
	return fmt.Errorf("policy directory %s cannot be reached: %w", path, err)
}

// kind names what is not a regular file.
func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return m.Type().String()
}
