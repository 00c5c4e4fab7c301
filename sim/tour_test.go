package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/browsertest"
)

var update = flag.Bool("update", false, "rewrite what docs/simulator.md shows, its picture too: look at the difference before you commit it")

// fence is a block of commands in a document, and the one that may follow of what they
// print.
var fence = regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:\n```text\n(.*?)```\n)?")

// realTime is the only thing that `sim run` prints that differs from run to run: how long
// the machine took.
var realTime = regexp.MustCompile(` in [0-9.]+m?s\b`)

// chance is what differs from version to version: which request, when, by whom.
var chance = regexp.MustCompile(`[0-9][0-9. ]*([mµ]?s\b)?`)

// TestSimulatorTour does what docs/simulator.md tells newcomers to, holds what is printed
// against what it shows, and opens the report in a browser.
func TestSimulatorTour(t *testing.T) {
	const file = "../docs/simulator.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"scenarios", "policies"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS("../"+name)); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "bin", "sim")); err != nil { // see TestMain
		t.Fatal(err)
	}
	steps := 0
	shown := fence.ReplaceAllStringFunc(string(doc), func(block string) string {
		steps++
		parts := fence.FindStringSubmatch(block)
		cmd := exec.CommandContext(t.Context(), "bash", "-c", parts[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=", "CI=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s%s", err, parts[1], out)
		}
		if len(out) == 0 {
			return fmt.Sprintf("```sh\n%s```\n", parts[1])
		}
		return fmt.Sprintf("```sh\n%s```\n\n```text\n%s```\n", parts[1], out)
	})
	if steps < 4 {
		t.Errorf("the tour has %d steps: its blocks are not found", steps)
	}
	// What the product's chance decides may change with any part of it.
	mask := func(s string) string { return chance.ReplaceAllString(realTime.ReplaceAllString(s, " in #"), "#") }
	switch diff := cmp.Diff(mask(string(doc)), mask(shown)); {
	case diff != "" && *update:
		if err := os.WriteFile(file, []byte(shown), 0o644); err != nil {
			t.Fatal(err)
		}
	case diff != "":
		t.Errorf("docs/simulator.md does not show what is printed (-shown +printed); if that is meant, run with -update:\n%s", diff)
	}
	picture(t, filepath.Join(dir, "report.html"))
}

// picture opens a report whose run failed, and sees that it says so. With -update the
// picture of the document is made of it.
func picture(t *testing.T, page string) {
	b := browsertest.Open(t)
	figure := chromedp.CSS("#run1 figure")
	b.Look(1200, "light")
	b.Do(chromedp.Navigate("file://"+page), chromedp.WaitVisible(figure))
	text := browsertest.Eval[string](b, `document.querySelector("#run1").innerText`)
	for _, want := range []string{"black-hole", `breaker("cart/1") == "open"`, "hole"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !*update {
		return
	}
	time.Sleep(300 * time.Millisecond) // what fades in has
	b.Picture("../docs/simulator.png")
}
