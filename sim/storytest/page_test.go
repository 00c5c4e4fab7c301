package storytest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"go-loadbalancer/lb/browsertest"
)

// page is the dashboard in a browser, which notes by its own clock what it shows of one
// endpoint, and when it had no time to show anything.
type page struct {
	*browsertest.Browser
	t *testing.T
}

// watching notes what is seen in window.seen: the endpoint's markers, what its countdown
// says, and the times in which the page's own timer, of 50 ms, did not come.
const watching = `(() => {
	const id = %q;
	const seen = (window.seen = { markers: [], countdown: [], gaps: [] });
	const look = () => {
		const e = [...document.querySelectorAll("#board .card .state")].find((e) => e.querySelector("a")?.textContent.startsWith(id + " "));
		if (!e || !e.checkVisibility()) return;
		const marker = e.querySelector(".breaker").textContent;
		if (marker !== seen.markers.at(-1)?.text) seen.markers.push({ text: marker, at: Date.now() });
		const until = e.querySelector(".until");
		if (until.textContent && until.textContent !== seen.countdown.at(-1)?.text) seen.countdown.push({ text: until.textContent, until: Number(until.dataset.until) });
	};
	new MutationObserver(look).observe(document.getElementById("board"), { subtree: true, childList: true, attributes: true, characterData: true });
	look();
	let last = Date.now();
	setInterval(() => {
		const now = Date.now();
		if (now - last > 150) seen.gaps.push({ from: last, to: now });
		last = now;
	}, 50);
	return true;
})()`

// marker is what the page showed from a time on, by its own clock.
type marker struct {
	Text string
	At   int64 // milliseconds since 1970
}

func openPage(t *testing.T, url, endpoint, zone string) *page {
	p := &page{browsertest.Open(t), t}
	p.Look(1200, "light")
	p.Zone(zone)
	p.Do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#board")))
	p.AwaitText("#live", "live")
	p.AwaitText(".card", "[CB: CLOSED]")
	browsertest.Eval[bool](p.Browser, fmt.Sprintf(watching, endpoint))
	return p
}

func (p *page) markers() []marker {
	p.t.Helper()
	return browsertest.Eval[[]marker](p.Browser, "window.seen.markers")
}

// shows waits until the endpoint's marker is one, for the nth time.
func (p *page) shows(text string, nth int) {
	p.t.Helper()
	p.Await(fmt.Sprintf("%s for the %d. time", text, nth), fmt.Sprintf("window.seen.markers.filter((m) => m.text === %q).length >= %d", text, nth))
}

// stalled is for how long the page had no time for anything between two instants.
func (p *page) stalled(from, to time.Time) (sum time.Duration) {
	p.t.Helper()
	type gap struct{ From, To int64 }
	for _, g := range browsertest.Eval[[]gap](p.Browser, "window.seen.gaps") {
		sum += overlap(from, to, time.UnixMilli(g.From), time.UnixMilli(g.To))
	}
	return sum
}

func overlap(from, to, a, b time.Time) time.Duration {
	if a.Before(from) {
		a = from
	}
	if b.After(to) {
		b = to
	}
	return max(0, b.Sub(a))
}

// happened is an entry of the timeline.
type happened struct {
	At   string // RFC 3339
	Text string
}

// timeline is the page's, the oldest first, of an endpoint's breaker.
func (p *page) timeline(address string) (all []happened) {
	p.t.Helper()
	for _, h := range browsertest.Eval[[]happened](p.Browser, `[...document.querySelectorAll("#board .main .timeline li")].reverse()
		.map((li) => ({ at: li.querySelector("time").dateTime, text: li.querySelector(".text").textContent }))`) {
		if text, ok := strings.CutPrefix(h.Text, "cart "+address+" breaker "); ok {
			all = append(all, happened{h.At, text})
		}
	}
	return all
}

// charted sums, over the chart of an endpoint's fifteen minutes, the attempts and those
// that failed, as its readout says them: read with the arrow keys, as a person does.
// It needs fewer than ten attempts a second, for which the readout is exact.
func (p *page) charted() (all, failed int) {
	p.t.Helper()
	type sums struct{ All, Failed float64 }
	got := browsertest.Eval[sums](p.Browser, `(() => {
		const figure = document.querySelector("#board figure.time"), readout = figure.querySelector(".readout");
		const press = (key) => figure.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
		press("Escape");
		const out = { all: 0, failed: 0 };
		for (let last = ""; ; ) {
			press("ArrowLeft");
			if (readout.textContent === last) break;
			last = readout.textContent;
			const m = last.match(/: ([0-9.]+) attempts a second, ([0-9]+) failed/);
			if (m) {
				out.all += Math.round(Number(m[1]) * 5);
				out.failed += Number(m[2]);
			}
		}
		press("Escape");
		return out;
	})()`)
	return int(got.All), int(got.Failed)
}
