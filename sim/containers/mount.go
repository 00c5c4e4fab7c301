//go:build !image

package containers

import (
	"fmt"
	"os"
	"path/filepath"
)

// mount is a directory of policy files as Kubernetes mounts a ConfigMap: the files are
// links into the directory that the link ..data leads to, and what they hold is changed
// by giving that link another target.
// (https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go)
type mount struct {
	dir   string
	turns int
	now   string // the directory ..data leads to
	files map[string]bool
}

func newMount(dir string, files map[string][]byte) (*mount, error) {
	m := &mount{dir: dir, files: map[string]bool{}}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
		if err := os.Chmod(d, 0o755); err != nil { // whatever the umask: another user reads it
			return nil, err
		}
	}
	return m, m.swap(files)
}

// swap puts other files in place, all at once.
func (m *mount) swap(files map[string][]byte) error {
	m.turns++
	next := fmt.Sprintf("..%d", m.turns)
	if err := os.Mkdir(filepath.Join(m.dir, next), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(m.dir, next), 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(m.dir, next, name), text, 0o644); err != nil {
			return err
		}
	}
	link := filepath.Join(m.dir, "..data_tmp")
	if err := os.Symlink(next, link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(m.dir, "..data")); err != nil {
		return err
	}
	for name := range files {
		if !m.files[name] {
			m.files[name] = true
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)); err != nil {
				return err
			}
		}
	}
	for name := range m.files {
		if _, ok := files[name]; !ok {
			delete(m.files, name)
			if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
				return err
			}
		}
	}
	if m.now != "" {
		if err := os.RemoveAll(filepath.Join(m.dir, m.now)); err != nil {
			return err
		}
	}
	m.now = next
	return nil
}
