package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"go-loadbalancer/lb/reload"
)

const (
	stateName = "last-good"
	// stateMagic begins a kept file. The number changes with the format.
	stateMagic = "go-loadbalancer last good policy 1 "
	// stateLimit is more than the files of any policy can come to in base64.
	stateLimit = 2*MaxTotalBytes + 1<<20
)

// StateDir keeps the last good policy in one file of a directory: a
// [reload.LastGood]. The directory belongs to one balancer; two that share one
// replace each other's policy. The file is readable by its owner only, since
// routes and header values may be confidential.
//
// The file is a line with the SHA-256 of what follows, and a JSON document with
// the policy's files.
type StateDir struct{ path string }

var _ reload.LastGood = (*StateDir)(nil)

// NewStateDir returns the keeper in a directory, which need not exist: Save
// makes it, its parents too. Nothing is opened until Load or Save.
func NewStateDir(path string) *StateDir { return &StateDir{path} }

// kept is the JSON document.
type kept struct {
	Revision string            `json:"revision,omitempty"`
	Files    map[string][]byte `json:"files"`
}

// Load returns the kept files; an error that wraps [fs.ErrNotExist] if none
// were kept yet, and another if the file cannot be read or is damaged. Both read
// on from "no last good policy: ".
func (s *StateDir) Load() (reload.Bundle, error) {
	path := filepath.Join(s.path, stateName)
	b, err := load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return reload.Bundle{}, absent("none was kept in " + s.path + " yet")
	case err != nil:
		return reload.Bundle{}, fmt.Errorf("the one kept in %s cannot be used: %w", path, err)
	}
	return b, nil
}

// absent says what is not there. It wraps [fs.ErrNotExist] without repeating it.
type absent string

func (a absent) Error() string { return string(a) }
func (absent) Unwrap() error   { return fs.ErrNotExist }

var errDamaged = errors.New("it is damaged: remove it; the next policy that serves is kept anew")

func load(path string) (reload.Bundle, error) {
	// O_NONBLOCK: opening a named pipe would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return reload.Bundle{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return reload.Bundle{}, err
	}
	if !info.Mode().IsRegular() {
		return reload.Bundle{}, errors.New("it is not a regular file: remove it")
	}
	data, err := io.ReadAll(io.LimitReader(f, stateLimit+1))
	if err != nil {
		return reload.Bundle{}, err
	}
	head, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || len(data) > stateLimit || string(head) != stateMagic+checksum(body) {
		return reload.Bundle{}, errDamaged
	}
	var k kept
	if err := json.Unmarshal(body, &k); err != nil || len(k.Files) == 0 {
		return reload.Bundle{}, errDamaged
	}
	return reload.Bundle{Files: k.Files, Revision: k.Revision}, nil
}

// Save replaces the kept files: they are written beside the old ones, flushed
// to the disk, and renamed over them.
func (s *StateDir) Save(b reload.Bundle) error {
	body, err := json.Marshal(kept{Revision: b.Revision, Files: b.Files})
	if err == nil {
		err = s.save(append([]byte(stateMagic+checksum(body)+"\n"), body...))
	}
	if err != nil {
		return fmt.Errorf("the policy cannot be kept in the state directory %s: %w", s.path, err)
	}
	return nil
}

func (s *StateDir) save(data []byte) (err error) {
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return err
	}
	// A fixed name, so that a crash leaves no more than one file behind. What
	// is there is removed first: it may be anything, a link included.
	temp := filepath.Join(s.path, stateName+".new")
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(s.path, stateName))
	}
	if err != nil {
		return err
	}
	return syncDir(s.path)
}

// syncDir makes a rename last. Some file systems cannot sync a directory, and
// say so by EINVAL; there is nothing more to be done on them.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

func checksum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
