package report_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

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
// the file, show the marks, and need no scrolling sideways. Where SIM_REPORT_PNG names a
// directory, pictures are put there.
func TestPageInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium: .ci/install test brings it")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	var page bytes.Buffer
	if err := report.WriteHTML(&page, suite(blackHole(200), passing(), invalid(), broken())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox)...) // root has no sandbox; the page is our own
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	var mu sync.Mutex
	var complaints, asked []string
	err = chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, ev.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, fmt.Sprint(ev.Type))
		case *log.EventEntryAdded:
			complaints = append(complaints, ev.Entry.Text)
		case *network.EventRequestWillBeSent:
			asked = append(asked, ev.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}

	views := []struct {
		width         int64
		scheme, paper string
	}{
		{390, "light", "rgb(255, 255, 255)"},
		{1024, "light", "rgb(255, 255, 255)"},
		{1600, "light", "rgb(255, 255, 255)"},
		{1600, "dark", "rgb(20, 23, 26)"},
	}
	for _, v := range views {
		t.Run(fmt.Sprintf("%d %s", v.width, v.scheme), func(t *testing.T) {
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.scheme}}}
			if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
				t.Fatal(err)
			}
			figure := chromedp.CSS("#run1 figure")
			err := chromedp.Do(ctx,
				chromedp.EmulateViewport(v.width, 900),
				chromedp.Navigate("file://"+file),
				chromedp.WaitVisible(figure),
				chromedp.Focus(figure),
				chromedp.KeyEvent(kb.ArrowRight),
			)
			if err != nil {
				t.Fatal(err)
			}
			got, err := chromedp.Run(ctx, chromedp.Evaluate[seen](look))
			if err != nil {
				t.Fatal(err)
			}
			if dir := os.Getenv("SIM_REPORT_PNG"); dir != "" {
				png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("report-%d-%s.png", v.width, v.scheme)), png, 0o644); err != nil {
					t.Error(err)
				}
			}
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
	mu.Lock()
	defer mu.Unlock()
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
