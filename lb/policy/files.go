package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// What one policy may weigh. A larger policy is refused, so that a mistaken
// mount cannot fill the memory of every replica.
const (
	maxFiles     = 64
	maxFileSize  = 1 << 20 // bytes
	maxTotalSize = 4 << 20 // bytes, all files together
)

// Files holds the bytes of a policy's files by base name. Only names that
// [IsPolicyFile] accepts count; others are ignored.
type Files map[string][]byte

// IsPolicyFile reports whether a file of that base name belongs to the policy
// of its directory: *.yaml and *.yml, except names that begin with a dot.
func IsPolicyFile(name string) bool {
	return !strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"))
}

// ReadFiles reads the policy files in the root of fsys, following symbolic
// links and leaving out directories. It stops soon after a limit of size or
// number is passed; [Files.Load] then refuses what it returned. It fails if
// something cannot be read, or is neither a file nor a directory.
func ReadFiles(fsys fs.FS) (Files, error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		return nil, err
	}
	files := make(Files)
	total := 0
	for _, entry := range entries {
		name := entry.Name()
		if !IsPolicyFile(name) {
			continue
		}
		data, isDir, err := readFile(fsys, name)
		if err != nil {
			return nil, err
		}
		if isDir {
			continue
		}
		files[name] = data
		total += len(data)
		if len(files) > maxFiles || total > maxTotalSize {
			break
		}
	}
	return files, nil
}

// readFile returns at most one byte more than a policy file may have.
func readFile(fsys fs.FS, name string) (data []byte, isDir bool, err error) {
	// Stat comes before Open: opening a named pipe would wait for its writer.
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, false, err
	}
	if info.IsDir() {
		return nil, true, nil
	}
	if !info.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is not a regular file: %s", name, info.Mode().Type())
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	return data, false, err
}

// names returns the names of the policy files, sorted.
func (f Files) names() []string {
	names := slices.Collect(maps.Keys(f))
	names = slices.DeleteFunc(names, func(n string) bool { return !IsPolicyFile(n) })
	slices.Sort(names)
	return names
}

// Hash returns the SHA-256, in lower-case hex, over the sorted names and bytes
// of the policy files. Each name and each content is preceded by its length as
// eight big-endian bytes, so that no two different sets hash the same input.
func (f Files) Hash() string {
	sum := sha256.New()
	var length [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		sum.Write(length[:])
		sum.Write(b)
	}
	for _, name := range f.names() {
		write([]byte(name))
		write(f[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Load reads, decodes and validates the policy in the root of fsys. The policy
// is nil if a diagnostic is an error. All errors are reported at once, up to a
// limit; lint warnings only once there is no error.
func Load(fsys fs.FS) (*Policy, Diagnostics) {
	files, err := ReadFiles(fsys)
	if err != nil {
		return nil, Diagnostics{{Severity: SeverityError, Code: CodeUnreadable, Message: "cannot read the policy: " + err.Error()}}
	}
	return files.Load()
}
