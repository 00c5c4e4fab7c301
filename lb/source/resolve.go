package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links may be followed on the way to one path,
// as many as Linux itself follows.
const maxLinks = 40

// way is how a path was found, or how far.
type way struct {
	target string   // where it leads, free of symbolic links; empty if nowhere
	dirs   []string // every directory whose change can make it lead elsewhere
	commit string   // the last link's target that is named like a git object; may be empty
	err    error    // why it leads nowhere
}

// resolve follows an absolute path link by link. The standard library's
// EvalSymlinks says where a path leads, but not by which directories.
func resolve(path string) way {
	var w way
	here, rest := "/", split(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			here = filepath.Dir(here)
			continue
		}
		next := filepath.Join(here, name)
		info, err := os.Lstat(next)
		if err != nil {
			if errors.Is(err, syscall.ENOTDIR) {
				here = filepath.Dir(here)
			}
			// Here is the nearest ancestor there is: it will tell when the
			// missing part appears.
			w.dirs = append(w.dirs, here)
			w.err = err
			return w
		}
		if info.Mode()&os.ModeSymlink == 0 {
			here = next
			continue
		}
		w.dirs = append(w.dirs, here)
		if links++; links > maxLinks {
			w.err = &os.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
			return w
		}
		to, err := os.Readlink(next)
		if err != nil { // replaced since, by something that is no link
			w.err = err
			return w
		}
		if base := filepath.Base(to); isObjectID(base) {
			w.commit = base
		}
		if filepath.IsAbs(to) {
			here = "/"
		}
		rest = append(split(to), rest...)
	}
	w.target = here
	w.dirs = append(w.dirs, filepath.Dir(here))
	return w
}

// split returns the elements of a path, empty ones and "." left out.
func split(path string) []string {
	var out []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			out = append(out, name)
		}
	}
	return out
}

// isObjectID reports whether a name looks like a git object: 40 (SHA-1) or 64
// (SHA-256) hexadecimal digits.
func isObjectID(name string) bool {
	if len(name) != 40 && len(name) != 64 {
		return false
	}
	for _, c := range []byte(name) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}
