package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go-loadbalancer/lb/policy"
)

type validateCommand struct {
	Paths  []string `arg:"" name:"path" help:"Directories, each one policy, or single files, each a whole one."`
	Output string   `default:"text" enum:"text,json,hash" placeholder:"FORMAT" help:"text, json, or hash: of each valid policy nothing but its hash, and of others what is wrong on the standard error (default ${default})."`
}

// verdict is what was found out about one path.
type verdict struct {
	Path        string             `json:"path"`
	Valid       bool               `json:"valid"`
	Name        string             `json:"name,omitempty"`
	Version     string             `json:"version,omitempty"`
	Hash        string             `json:"hash"`
	Diagnostics policy.Diagnostics `json:"diagnostics"`

	// directory is that of a single file among other policy files, or "".
	directory string
}

func (c *validateCommand) Run(out streams) error {
	verdicts := make([]verdict, 0, len(c.Paths))
	var unreadable []error
	for _, path := range c.Paths {
		v, err := judge(path)
		if err != nil {
			unreadable = append(unreadable, fmt.Errorf("%w: %w", errUnreadable, err))
			continue
		}
		verdicts = append(verdicts, v)
	}
	if err := c.print(out, verdicts); err != nil {
		return err
	}
	if len(unreadable) > 0 {
		return errors.Join(unreadable...)
	}
	for _, v := range verdicts {
		if !v.Valid {
			return errSaid
		}
	}
	return nil
}

// judge validates the policy at a path. It fails if that cannot be read.
func judge(path string) (verdict, error) {
	at, err := readPolicy(path)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{Path: path, Hash: at.files.Hash(), directory: at.among}
	p, found := at.files.Load()
	if p != nil {
		v.Valid, v.Name, v.Version = true, p.Name, p.Version
	}
	v.Diagnostics = at.named(found)
	return v, nil
}

// located is the files of a policy and where they are.
type located struct {
	files policy.Files
	dir   string // as the shell names it
	among string // the directory of a single file among other policy files, or ""
}

// readPolicy reads the files of the policy at a path: a directory, or a single file.
func readPolicy(path string) (located, error) {
	info, err := os.Stat(path)
	if err != nil {
		return located{}, fmt.Errorf("%s: %w", path, errors.Unwrap(err)) // not the name of the call
	}
	if info.IsDir() {
		files, err := policy.ReadFiles(os.DirFS(path))
		if err != nil {
			return located{}, fmt.Errorf("%s: %w", path, err)
		}
		return located{files: files, dir: path}, nil
	}
	base := filepath.Base(path)
	at := located{dir: filepath.Dir(path)}
	if !policy.IsPolicyFile(base) {
		return located{}, fmt.Errorf("%s is not a policy file: its name must end in .yaml or .yml, and not begin with a dot", path)
	}
	if at.files, err = policy.ReadFiles(single{os.DirFS(at.dir), base}); err != nil {
		return located{}, fmt.Errorf("%s: %w", path, err)
	}
	if hasOthers(at.dir, base) {
		at.among = at.dir
	}
	return at, nil
}

// named is what was found, with files as the shell, an editor and a code review name
// them.
func (at *located) named(found policy.Diagnostics) policy.Diagnostics {
	named := slices.Clone(found)
	for i := range named {
		if file := &named[i].Pos.File; *file != "" {
			*file = filepath.Join(at.dir, *file)
		}
	}
	return named
}

// hasOthers reports whether a directory holds policy files besides one. What it
// is for is advice only: a directory that cannot be listed holds none.
func hasOthers(dir, base string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && e.Name() != base && policy.IsPolicyFile(e.Name())
	})
}

// single is a directory with one file in sight.
type single struct {
	fs.FS
	name string
}

func (s single) ReadDir(string) ([]fs.DirEntry, error) {
	info, err := fs.Stat(s.FS, s.name)
	if err != nil {
		return nil, err
	}
	return []fs.DirEntry{fs.FileInfoToDirEntry(info)}, nil
}

func (c *validateCommand) print(out streams, verdicts []verdict) error {
	switch c.Output {
	case "hash":
		return printHashes(out, verdicts)
	case "json":
		return printJSON(out.stdout, verdicts)
	}
	return printText(out.stdout, verdicts)
}

// printHashes leaves the standard output to scripts.
func printHashes(out streams, verdicts []verdict) error {
	for i, v := range verdicts {
		var err error
		if v.Valid {
			_, err = fmt.Fprintln(out.stdout, v.Hash)
		} else {
			err = printText(out.stderr, verdicts[i:i+1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printJSON(w io.Writer, verdicts []verdict) error {
	text, err := json.MarshalIndent(struct {
		Policies []verdict `json:"policies"`
	}{verdicts}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

func printText(w io.Writer, verdicts []verdict) error {
	for _, v := range verdicts {
		for _, d := range v.Diagnostics {
			if d.Pos.File == "" {
				fmt.Fprintf(w, "%s: ", v.Path)
			}
			fmt.Fprintln(w, d)
		}
		word := "INVALID"
		if v.Valid {
			word = fmt.Sprintf("valid, policy %s, version %s", v.Name, v.Version)
		}
		if _, err := fmt.Fprintf(w, "%s: %s, %s, %s\n  hash %s\n", v.Path, word,
			count(v.Diagnostics.Count(policy.SeverityError), "error"),
			count(v.Diagnostics.Count(policy.SeverityWarning), "warning"), v.Hash); err != nil {
			return err
		}
		if !v.Valid && v.directory != "" {
			if _, err := fmt.Fprintf(w, "  one file is checked as a whole policy; to check its directory: lb validate %s\n", v.directory); err != nil {
				return err
			}
		}
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
