package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/command"
)

var update = flag.Bool("update", false, "rewrite the examples of docs/diff.md and docs/explain.md: read the difference before you commit it")

// TestDiffExample runs what docs/diff.md shows, and holds what it prints against it.
func TestDiffExample(t *testing.T) {
	doc, err := filepath.Abs("../docs/diff.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```sh\n(cp -r .*?)lb diff policies next\n```\n\n```text\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("there is no example in it")
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS("../policies")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if out, err := exec.Command("sh", "-ec", string(example[1])).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var stdout, stderr bytes.Buffer
	if code := command.Run([]string{"diff", "policies", "next"}, &stdout, &stderr); code != 1 || stderr.Len() > 0 {
		t.Errorf("exit status %d: %s", code, &stderr)
	}
	if *update {
		page = bytes.Replace(page, append([]byte("```text\n"), append(example[2], "```"...)...), []byte("```text\n"+stdout.String()+"```"), 1)
		if err := os.WriteFile(doc, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(example[2]), stdout.String()); diff != "" {
		t.Errorf("docs/diff.md does not show what is printed (-want +got); if that is meant, run with -update:\n%s", diff)
	}
}
