package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/command"
)

// TestExplainExample runs what docs/explain.md shows, and holds what it prints against it.
func TestExplainExample(t *testing.T) {
	doc, err := filepath.Abs("../docs/explain.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```sh\nlb (explain --policies [^\n]*)\n```\n\n```text\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("there is no example in it")
	}
	t.Chdir("..")
	var stdout, stderr bytes.Buffer
	if code := command.Run(strings.Fields(string(example[1])), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
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
		t.Errorf("docs/explain.md does not show what is printed (-want +got); if that is meant, run with -update:\n%s", diff)
	}
}
