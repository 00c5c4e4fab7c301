// Package browsertest looks at pages in Chromium, for tests.
//
//	b := browsertest.Open(t)
//	b.Look(390, "dark") // a phone, at night
//	b.Do(chromedp.Navigate(url))
//	b.AwaitText("#live", "live")
//	b.Picture(filepath.Join(browsertest.Artifacts(t), "dashboard.png"))
//
// It waits for what is to be seen, never for a time to pass; what does not come within a
// minute fails the test, and the page's text is shown. A browser whose machine has more
// to do is slower, and nothing else.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	browserlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"go-loadbalancer/lb/tooltest"
)

const (
	patience = time.Minute      // for one thing to be seen
	life     = 10 * time.Minute // of a browser
)

// Browser is a page in Chromium, until its test ends.
type Browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what it says of the page
	asked      []string // URLs
}

// Open starts Chromium; without one the test is skipped, but fails in CI.
func Open(t *testing.T) *Browser {
	t.Helper()
	chromium := tooltest.Path(t, "chromium")
	ctx, cancel := context.WithTimeout(t.Context(), life)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, // root has no sandbox; the page is our own
		chromedp.WSURLReadTimeout(patience))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			b.complaints = append(b.complaints, fmt.Sprint(ev.ExceptionDetails.Text, " ", ev.ExceptionDetails.Exception))
		case *runtime.EventConsoleAPICalled:
			b.complaints = append(b.complaints, fmt.Sprint(ev.Type))
		case *browserlog.EventEntryAdded:
			b.complaints = append(b.complaints, ev.Entry.Text)
		case *network.EventRequestWillBeSent:
			b.asked = append(b.asked, ev.Request.URL)
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		_, err = chromedp.Call(ctx, browserlog.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Heard returns what the browser complained of so far, and what it asked for, and
// forgets both.
func (b *Browser) Heard() (complaints, asked []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	complaints, asked = b.complaints, b.asked
	b.complaints, b.asked = nil, nil
	return complaints, asked
}

// Eval returns what an expression of JavaScript is; a promise is not waited for.
func Eval[T any](b *Browser, script string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%v in %s", err, script)
	}
	return got
}

// Await waits until an expression is true.
func (b *Browser) Await(what, script string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !Eval[bool](b, script); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain: %s; the page says\n%s", what, Eval[string](b, "document.body.innerText"))
		}
	}
}

// AwaitText waits until one of the elements that a selector names can be seen, and says
// the text.
func (b *Browser) AwaitText(where, text string) {
	b.t.Helper()
	b.Await(where+" says "+text, fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))`, where, text))
}

// Do does things one after the other.
func (b *Browser) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Look sets the window's width, in pixels, and the colours: light or dark.
func (b *Browser) Look(width int64, scheme string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
		b.t.Fatal(err)
	}
	b.Do(chromedp.EmulateViewport(width, 900))
}

// Zone has the page's time be that of a zone, such as Etc/GMT-2.
func (b *Browser) Zone(name string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}); err != nil {
		b.t.Fatal(err)
	}
}

// Picture writes the whole page to a file, as PNG.
func (b *Browser) Picture(file string) {
	b.t.Helper()
	b.write(file, b.screenshot(chromedp.FullScreenshot(100)))
}

// SmallPicture writes what can be seen of the page without scrolling, in 256 colours:
// for documents.
func (b *Browser) SmallPicture(file string) {
	b.t.Helper()
	small, err := fewerColours(b.screenshot(chromedp.CaptureScreenshot()))
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(file, small)
}

func (b *Browser) screenshot(action chromedp.Action[[]byte]) []byte {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return png
}

func (b *Browser) write(file string, png []byte) {
	b.t.Helper()
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Artifacts is the directory in which a test leaves what somebody may want to look at
// afterwards: what LB_ARTIFACTS names, else artifacts at the top of the tree. It is made
// if it is not there.
func Artifacts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LB_ARTIFACTS")
	if dir == "" {
		dir = filepath.Join(top(t), "artifacts")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// top is where go.mod is, above the directory that the test runs in.
func top(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above: set LB_ARTIFACTS to a directory")
		}
		dir = filepath.Dir(dir)
	}
}
