package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go-loadbalancer/lb/policy"
)

// What is read of a revision at most: policy refuses a policy of more.
const (
	maxRevisionFiles = 65
	maxRevisionFile  = 1<<20 + 1
	gitTimeout       = 30 * time.Second
)

// readRevision reads the policy that a path had at a revision of git.
func readRevision(revision, path string) (located, error) {
	dir, only := path, ""
	if !isDir(path) {
		dir, only = filepath.Dir(path), filepath.Base(path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	g := git{ctx, dir}
	commit, err := g.run("rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return located{}, fmt.Errorf("--against %s: no such revision of the repository that %s is in%s", revision, dir, said(err))
	}
	listed, err := g.run("ls-tree", "-z", "--long", strings.TrimSpace(string(commit)), "--", "./")
	if err != nil {
		return located{}, fmt.Errorf("--against %s: %w", revision, err)
	}
	at := located{files: policy.Files{}, dir: revision + ":" + dir}
	for entry := range strings.SplitSeq(string(listed), "\x00") {
		about, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(about) // mode, type, object, size
		base := name[strings.LastIndexByte(name, '/')+1:]
		if len(fields) != 4 || fields[1] != "blob" || !policy.IsPolicyFile(base) || only != "" && base != only || len(at.files) == maxRevisionFiles {
			continue
		}
		if size, err := strconv.Atoi(fields[3]); err != nil || size > maxRevisionFile {
			at.files[base] = make([]byte, maxRevisionFile) // which is refused for its size
			continue
		}
		if at.files[base], err = g.run("cat-file", "blob", fields[2]); err != nil {
			return located{}, fmt.Errorf("--against %s: %s: %w", revision, base, err)
		}
	}
	return at, nil
}

// said is what git said of an error, behind a colon; nothing if it only failed.
func said(err error) string {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return ""
	}
	return ": " + err.Error()
}

// isDir is false of what is not there.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// git runs in a directory.
type git struct {
	ctx context.Context
	dir string
}

func (g *git) run(args ...string) ([]byte, error) {
	c := exec.CommandContext(g.ctx, "git", append([]string{"-C", g.dir}, args...)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if said := strings.TrimSpace(stderr.String()); err != nil && said != "" {
		return nil, errors.New(said)
	}
	return out, err
}
