package app_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/browsertest"
	"go-loadbalancer/lb/event"
)

var update = flag.Bool("update", false, "make the picture of docs/operate.md anew, for which it takes some minutes longer: look at it before you commit it")

// shop is three servers, of which each can be broken, and the policy before them.
type shop struct {
	servers [3]*httptest.Server
	broken  [3]atomic.Bool
}

func newShop(t *testing.T) *shop {
	s := new(shop)
	for i := range s.servers {
		s.servers[i] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.broken[i].Load() && r.URL.Path != "/healthz" {
				http.Error(w, "broken", http.StatusServiceUnavailable)
				return
			}
			time.Sleep(time.Duration(2+3*i) * time.Millisecond)
			io.WriteString(w, "ok")
		}))
		t.Cleanup(s.servers[i].Close)
	}
	return s
}

// policy has 503 endpoints: the servers, and 500 that nobody asks for anything.
func (s *shop) policy(algorithm string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "2026-11-23.1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes:
    - {name: cart, matches: [{path: {type: PathPrefix, value: /cart}}], backendRefs: [{pool: cart}], retry: {attempts: 1, codes: [503]}}
    - {name: stock, matches: [{path: {type: PathPrefix, value: /stock}}], backendRefs: [{pool: stock}]}
    - {name: "lost", matches: [{path: {type: PathPrefix, value: /lost}}], backendRefs: [{pool: lost}]}
  pools:
    - name: cart
      loadBalancer: {type: %s}
      circuitBreaker: {consecutiveFailures: 3, openDuration: 4s}
      healthCheck: {active: {http: {path: /healthz}, interval: 1s}}
      sessionPersistence: {store: Redis}
      endpoints:
`, algorithm)
	for _, server := range s.servers {
		fmt.Fprintf(&out, "        - {address: %q}\n", server.Listener.Addr())
	}
	out.WriteString(`    - {name: lost, endpoints: [{address: "127.0.0.1:1"}]}
    - name: stock
      endpoints:
`)
	for n := range 500 {
		fmt.Fprintf(&out, "        - {address: \"127.1.%d.%d:9\"}\n", n/250, n%250+1)
	}
	return out.String()
}

// load sends requests until the test ends.
func (r *rig) load(t *testing.T, path string, every time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if resp, err := r.client.Get(r.traffic + path); err == nil { // it may be stopping
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// TestDashboard opens the dashboard of a running balancer in Chromium, breaks things, and
// looks at what it says. Pictures of a phone, a tablet and a desk, light and dark, are kept
// in LB_ARTIFACTS.
func TestDashboard(t *testing.T) {
	b := page{browsertest.Open(t), t}
	s := newShop(t)
	opened := make(chan time.Time, 64)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	r := run(t, hello, func(c *app.Config) {
		c.Admin = address
		c.Events = &event.Listener{BreakerChanged: func(e event.BreakerChange) {
			if e.To == event.BreakerOpen {
				select {
				case opened <- time.Now():
				default:
				}
			}
		}}
	})
	r.write(s.policy("RoundRobin"))
	r.await("the policy of the shop serves", func() bool { return r.status(r.traffic+"/cart") == 200 })
	r.load(t, "/cart", 20*time.Millisecond)

	b.Look(1600, "light")
	b.Do(chromedp.Navigate(r.admin), chromedp.WaitVisible(chromedp.CSS("#board")))
	b.AwaitText("#live", "live")
	b.AwaitText("#board", "[CB: CLOSED]")
	b.AwaitText("#board", "The session store is away")

	// From a breaker's opening to its being seen it takes less than a second. Should this
	// machine be busy just then, there are two more chances.
	browsertest.Eval[bool](b.Browser, `(() => {
		window.seen = [];
		let open = false;
		new MutationObserver(() => {
			const now = document.querySelector("#board .problems .breaker.open, #board .card .breaker.open")?.checkVisibility() ?? false;
			if (now && !open) window.seen.push(Date.now());
			open = now;
		}).observe(document.getElementById("board"), { subtree: true, childList: true, attributes: true, characterData: true });
		return true;
	})()`)
	var late []time.Duration
	for range 3 {
		s.broken[1].Store(true)
		at := <-opened
		b.Await("an open breaker is seen", "window.seen.length > 0")
		took := time.UnixMilli(int64(browsertest.Eval[float64](b.Browser, "window.seen.shift()"))).Sub(at)
		if late = append(late, took); took <= time.Second {
			break
		}
		s.broken[1].Store(false)
		b.Await("the breaker closes", `!document.querySelector("#board .breaker.open, #board .breaker.half-open")`)
		for len(opened) > 0 {
			<-opened
		}
		browsertest.Eval[bool](b.Browser, "(window.seen = []).length === 0")
	}
	if late[len(late)-1] > time.Second {
		t.Errorf("a breaker's opening is seen after %v", late)
	}
	t.Logf("a breaker's opening is seen after %v", late)
	b.AwaitText(".problem", "too many failures in a row")
	b.AwaitText(".problem .until", "next probe in")
	b.AwaitText(".problem .since", "since ")
	b.AwaitText(".card", "[CB: OPEN]")
	b.AwaitText(".timeline", "breaker open: too many failures in a row")

	if *update {
		r.write(s.policy("RoundRobbin"))
		time.Sleep(90 * time.Second) // a picture without a past says little
		b.Look(1200, "light")
		b.Picture("../../docs/dashboard.png")
	}

	// A policy that is refused, with its line; and what it holds is text.
	r.write(s.policy(`"<img/src=x>"`))
	b.AwaitText(".refused pre", `loadBalancer: {type: "<img/src=x>"}`)
	b.AwaitText(".problem", "The newest policy was refused: policy.yaml:12:")

	// So is what a client sent: what is no path at all is refused at the door, and the rest
	// is shown as it came.
	if got := hostile(t, r.traffic, "/lost/<img/src=x/onerror=alert(1)>"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("a path of markup got %q", got)
	}
	const path = `/lost/"'onmouseover=alert(1)&lt;img&gt;%3Cimg%20src=x%3E{{7*7}}`
	r.await("an example of it is shown", func() bool { // of several that fail in a second, one is
		if got := hostile(t, r.traffic, path); !strings.HasPrefix(got, "HTTP/1.1 50") {
			t.Fatalf("a path of hostile bytes got %q", got)
		}
		return browsertest.Eval[bool](b.Browser, fmt.Sprintf(`[...document.querySelectorAll(".side .timeline .text")].some((e) => e.innerText.includes(%q))`, path))
	})
	if n := browsertest.Eval[int](b.Browser, `document.querySelectorAll("#board img, #board script, #board b, #board [onerror], #board [onmouseover]").length`); n > 0 {
		t.Errorf("%d elements were made of what a client or a policy holds", n)
	}
	if title := browsertest.Eval[string](b.Browser, "document.title"); !strings.Contains(title, "wrong · shop") {
		t.Errorf("title %q", title)
	}

	dir := browsertest.Artifacts(t)
	views := []struct {
		width         int64
		scheme, paper string
	}{
		{390, "light", "rgb(255, 255, 255)"}, {820, "light", "rgb(255, 255, 255)"}, {1600, "light", "rgb(255, 255, 255)"},
		{1600, "dark", "rgb(20, 23, 26)"}, {820, "dark", "rgb(20, 23, 26)"}, {390, "dark", "rgb(20, 23, 26)"},
	}
	for _, part := range []struct{ name, hash string }{
		{"everything", "#/"}, {"route", "#/route/cart"}, {"pool", "#/pool/cart"}, {"many", "#/pool/stock"},
		{"endpoint", "#/endpoint/cart/" + s.servers[1].Listener.Addr().String()},
	} {
		browsertest.Eval[bool](b.Browser, fmt.Sprintf("(location.hash = %q) !== null", part.hash))
		for _, v := range views {
			b.Look(v.width, v.scheme)
			b.Await("it is drawn", `document.querySelectorAll("#board .time path[d^=M]").length > 0`)
			if over := browsertest.Eval[[]string](b.Browser, `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
				.filter((e) => !e.closest("svg") && e.getBoundingClientRect().right > innerWidth).map((e) => e.tagName + "." + e.className).slice(0, 5)`); len(over) > 0 {
				t.Errorf("%s at %d: wider than the window: %v", part.name, v.width, over)
			}
			if paper := browsertest.Eval[string](b.Browser, "getComputedStyle(document.body).backgroundColor"); paper != v.paper {
				t.Errorf("%s: the paper is %s", v.scheme, paper)
			}
			b.Picture(filepath.Join(dir, fmt.Sprintf("dashboard-%s-%d-%s.png", part.name, v.width, v.scheme)))
		}
	}
	b.Look(1600, "light")
	b.drillDown(s)
	b.keyboard()
	b.manyEndpoints()

	complaints, asked := b.Heard()
	for _, c := range complaints {
		t.Errorf("the browser complains: %s", c)
	}
	for _, url := range asked {
		if !strings.HasPrefix(url, r.admin+"/") {
			t.Errorf("the page asks for %s", url)
		}
	}

	// The balancer goes, which shows, and comes back.
	browsertest.Eval[bool](b.Browser, `(location.hash = "#/") !== null`)
	b.AwaitText("#board", "All traffic")
	r.stop()
	if err := r.join(); err != nil {
		t.Errorf("with a dashboard open, it stops with %v", err)
	}
	b.AwaitText("#stale", "Stale: this is how it was")
	b.Await("old data does not look like new", `document.title.startsWith("stale: ") && getComputedStyle(document.getElementById("board")).opacity < 1`)
	b.Picture(filepath.Join(dir, "dashboard-stale.png"))
	again := run(t, hello, func(c *app.Config) { c.Admin = address })
	b.Await("the page is live again", `document.getElementById("stale").hidden && document.getElementById("live").innerText.includes("live")`)
	b.AwaitText("#name", "test 1")
	again.stop()
	if err := again.join(); err != nil {
		t.Error(err)
	}
}

// hostile sends a request with markup in its fields too, and returns the answer.
func hostile(t *testing.T, traffic, path string) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(traffic, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: shop\r\nX-Request-Id: <script>alert(1)</script>\r\nUser-Agent: <b>\r\nConnection: close\r\n\r\n", path)
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// page is the dashboard in a browser.
type page struct {
	*browsertest.Browser
	t *testing.T
}

// drillDown goes from a route to a pool to an endpoint, by what is there to click.
func (b page) drillDown(s *shop) {
	b.t.Helper()
	address := s.servers[1].Listener.Addr().String()
	b.Do(chromedp.Navigate(browsertest.Eval[string](b.Browser, "location.origin + '/'")))
	click := func(text string) {
		b.t.Helper()
		b.Await("there is a link "+text, fmt.Sprintf(`(() => {
			const link = [...document.querySelectorAll("#board a")].find((a) => a.checkVisibility() && a.innerText.trim() === %q);
			link?.click();
			return Boolean(link);
		})()`, text))
	}
	b.AwaitText("#board table a", "cart")
	browsertest.Eval[bool](b.Browser, `(document.querySelector("#board table tbody th a").click(), true)`)
	b.AwaitText("h2.title", "Route cart")
	click("cart")
	b.AwaitText("h2.title", "Pool cart")
	b.AwaitText("table.endpoints", "[CB: CLOSED]")
	click("cart/2")
	b.AwaitText("h2.title", "Endpoint "+address+" of pool cart")
	b.AwaitText("dl.facts", "Breaker opened")
	b.Do(chromedp.KeyEvent("u")) // up
	b.AwaitText("h2.title", "Pool cart")
	click("Everything")
	b.AwaitText("#board", "All traffic")
}

// keyboard does without a mouse.
func (b page) keyboard() {
	b.t.Helper()
	b.Do(chromedp.Focus(chromedp.CSS("#board figure")), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft))
	b.AwaitText("#board .readout", "requests a second")
	b.find("refused")
	b.Await("the timeline is narrowed", `(() => {
		const all = [...document.querySelectorAll("#board .main .timeline li")];
		return all.length > 0 && all.every((li) => li.innerText.includes("refused"));
	})()`)
	b.Do(chromedp.KeyEvent(kb.Escape))
	b.Await("Escape leaves the field", `document.activeElement === document.body`)
	// Everything that can be clicked can be reached: but for the cells, which the table
	// and the list beside them stand for.
	if n := browsertest.Eval[int](b.Browser, `[...document.querySelectorAll("#board a, #board button, #board select, #board input")].filter((e) => e.tabIndex < 0 && !e.matches(".cell")).length`); n > 0 {
		b.t.Errorf("%d things cannot be reached by the keyboard", n)
	}
	if n := browsertest.Eval[int](b.Browser, `(document.querySelector(".filters button").click(), document.querySelectorAll(".filters button[aria-pressed=false]").length)`); n != 1 {
		b.t.Errorf("%d filters are off, want 1", n)
	}
	browsertest.Eval[bool](b.Browser, `(document.querySelector(".filters button").click(), true)`)
}

// find presses "/" and types.
func (b page) find(text string) {
	b.t.Helper()
	b.Do(chromedp.KeyEvent("/"))
	// A key that is pressed here comes as two events, of which the second types it even
	// though the page prevented that: it is taken out again.
	b.Await("/ finds", `document.activeElement.matches("input[type=search]") && (document.activeElement.value = "") === ""`)
	b.Do(chromedp.KeyEvent(text))
}

// manyEndpoints looks at the pool of 500.
func (b page) manyEndpoints() {
	b.t.Helper()
	browsertest.Eval[bool](b.Browser, `(location.hash = "#/pool/stock") !== null`)
	rows := `document.querySelectorAll("table.endpoints tbody tr").length`
	b.Await("the first of them", rows+" === 50")
	browsertest.Eval[bool](b.Browser, `([...document.querySelectorAll("button")].find((e) => e.innerText === "Show all 500").click(), true)`)
	b.Await("all of them", rows+" === 500")
	// Ticks go on to be shown: none takes so long that the next one finds it busy.
	before := browsertest.Eval[float64](b.Browser, `performance.now()`)
	browsertest.Eval[bool](b.Browser, `(window.longest = 0, new PerformanceObserver((l) => l.getEntries().forEach((e) => { window.longest = Math.max(window.longest, e.duration); })).observe({ type: "longtask" }), true)`)
	b.Await("seven seconds of ticks", fmt.Sprintf(`performance.now() - %f > 7000`, before))
	b.t.Logf("with 500 rows the longest task took %.0f ms", browsertest.Eval[float64](b.Browser, "window.longest"))
	b.AwaitText("#live", "live")
	b.find("127.1.1.7:")
	b.Await("one of them", rows+" === 1")
	b.Do(chromedp.KeyEvent(kb.Escape))
}
