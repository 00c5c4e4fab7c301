package report_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"go-loadbalancer/lb/browsertest"
	"go-loadbalancer/sim/report"
)

// seen is what look finds on the page: how many marks and plots can be seen, how many
// charts are too narrow to read, and by how many pixels the page is wider than the window.
type seen struct {
	Marks, Plots, Narrow, Over int
	Paper, Readout             string
	Passed                     bool     // the run that passed is open
	Wide                       []string // what is beyond the window's right edge
}

const look = `(() => {
	const seen = (e) => {
		const box = e.getBoundingClientRect();
		return box.height > 0 && box.left >= 0 && box.right <= innerWidth;
	};
	const all = (what) => [...document.querySelectorAll("#run1 " + what)];
	return {
		Marks: all(".mark").filter(seen).length,
		Plots: all(".plot").filter(seen).length,
		Narrow: all(".chart").filter((e) => e.getBoundingClientRect().width < 250).length,
		Over: document.documentElement.scrollWidth - innerWidth,
		Paper: getComputedStyle(document.body).backgroundColor,
		Readout: all(".readout")[0].textContent,
		Passed: document.querySelector("#run2").open,
		Wide: [...document.querySelectorAll("body *")].filter((e) => !e.closest(".scroll, svg") && e.getBoundingClientRect().right > innerWidth)
			.map((e) => e.tagName + "." + e.className).slice(0, 5),
	};
})()`

// TestPageInABrowser opens the page in Chromium at the width of a phone, of a tablet and
// of a desk, light and dark: the browser must complain of nothing, ask for nothing but
// the file, show the marks, and need no scrolling sideways. Pictures are kept
// in LB_ARTIFACTS.
func TestPageInABrowser(t *testing.T) {
	b := browsertest.Open(t)
	file := filepath.Join(t.TempDir(), "report.html")
	var page bytes.Buffer
	if err := report.WriteHTML(&page, suite(blackHole(200), passing(), invalid(), broken())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	dir := browsertest.Artifacts(t)
	views := []struct {
		width         int64
		scheme, paper string
	}{
		{390, "light", "rgb(255, 255, 255)"},
		{820, "light", "rgb(255, 255, 255)"},
		{1600, "light", "rgb(255, 255, 255)"},
		{1600, "dark", "rgb(20, 23, 26)"},
		{820, "dark", "rgb(20, 23, 26)"},
		{390, "dark", "rgb(20, 23, 26)"},
	}
	for _, v := range views {
		t.Run(fmt.Sprintf("%d %s", v.width, v.scheme), func(t *testing.T) {
			figure := chromedp.CSS("#run1 figure")
			b.Look(v.width, v.scheme)
			b.Do(chromedp.Navigate("file://"+file), chromedp.WaitVisible(figure), chromedp.Focus(figure), chromedp.KeyEvent(kb.ArrowRight))
			got := browsertest.Eval[seen](b, look)
			b.Picture(filepath.Join(dir, fmt.Sprintf("report-%d-%s.png", v.width, v.scheme)))
			if got.Marks != 3 || got.Plots < 15 || got.Narrow > 0 {
				t.Errorf("%d marks and %d plots are seen, %d charts are too narrow", got.Marks, got.Plots, got.Narrow)
			}
			if got.Over > 0 {
				t.Errorf("the page is %d pixels wider than the window: %v", got.Over, got.Wide)
			}
			if got.Paper != v.paper {
				t.Errorf("the paper is %s: the style has no effect", got.Paper)
			}
			if !strings.HasPrefix(got.Readout, "0 s: 100 requests, 0 errors") {
				t.Errorf("after → the readout says %q", got.Readout)
			}
			if got.Passed {
				t.Error("a run that passed is open")
			}
		})
	}
	complaints, asked := b.Heard()
	for _, c := range complaints {
		t.Errorf("the browser complains: %s", c)
	}
	for _, url := range asked {
		if url != "file://"+file {
			t.Errorf("the page asks for %s", url)
		}
	}
	if len(asked) != len(views) {
		t.Errorf("%d requests were seen, %d pages opened", len(asked), len(views))
	}
}
