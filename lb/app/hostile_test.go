package app_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"go-loadbalancer/lb/app"
	"go-loadbalancer/lb/browsertest"
)

// evil is markup, and what steers a terminal: by an escape, and by one byte of C1.
const evil = "<img src=x onerror=alert(1)>\x1b[2J\x1b]0;owned\x07\x9b31m"

// liar answers every connection with what is not HTTP, or is and says evil things.
func liar(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				q, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				switch q.URL.Path {
				case "/reason":
					fmt.Fprintf(conn, "HTTP/1.1 500 <img src=x onerror=alert(1)>\x9b31m\r\nX-Evil: <img src=x>\x9b31m\r\nContent-Length: 0\r\n\r\n")
				case "/field":
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s: x\r\n\r\n", evil)
				default:
					fmt.Fprintf(conn, "%s\r\n\r\n", evil)
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); running.Wait() })
	return ln.Addr().String()
}

// Whatever a client or an endpoint sends is text on the page, and harmless in the access
// log, the balancer's own log, metrics, status, events and explanations.
func TestHostileInputIsText(t *testing.T) {
	b := browsertest.Open(t)
	endpoint := liar(t)
	access := filepath.Join(t.TempDir(), "access.log")
	var own buffer
	r := run(t, hello, func(c *app.Config) {
		c.AccessLog = access
		c.Logger = slog.New(slog.NewJSONHandler(io.MultiWriter(&own, t.Output()), nil))
	})
	r.write(fmt.Sprintf(`apiVersion: lb/v1
kind: Policy
metadata: {name: shop, version: "2 <img src=x onerror=alert(1)>"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes:
    - {name: lies, backendRefs: [{pool: lies}]}
  pools:
    - name: lies
      endpoints: [{address: %q}]
      circuitBreaker: {consecutiveFailures: 3, openDuration: 1s, maxOpenDuration: 1s}
      healthCheck: {active: {http: {path: /healthz}, interval: 500ms, unhealthyThreshold: 1}, panicThreshold: 100}
`, endpoint))
	r.await("the policy of lies serves", func() bool { return strings.Contains(r.text("/api/v1/status"), `"lies"`) })
	b.Look(1200, "light")
	b.Do(chromedp.Navigate(r.admin), chromedp.WaitVisible(chromedp.CSS("#board")))
	b.AwaitText("#live", "live")

	tail := r.stream("/api/v1/tail")
	answered := map[string]bool{}
	for _, q := range []string{
		"GET /reason HTTP/1.1\r\nHost: shop\r\n", "GET /field HTTP/1.1\r\nHost: shop\r\n",
		`GET /"'onmouseover=alert(1)&lt;img&gt;%3Cimg%20src=x%3E{{7*7}} HTTP/1.1` + "\r\nHost: shop'onload=alert(1)\r\n",
		"GET /a?b=%1b[2J%9b31m&%3Cscript%3E=1 HTTP/1.1\r\nHost: shop\r\nUser-Agent: <script>alert(1)</script>\x9b31m\r\nX-Request-Id: <script>\r\nReferer: \"><img src=x>\r\n",
		"GET /<img/src=x/onerror=alert(1)> HTTP/1.1\r\nHost: shop\r\n",
		"GET /\x1b[2J\x9b31m HTTP/1.1\r\nHost: shop\r\n", "GET / HTTP/1.1\r\nHost: <b>\x1b[2J\r\n", "G\x1b[2JT / HTTP/1.1\r\nHost: shop\r\n",
		"<script> / HTTP/1.1\r\nHost: shop\r\n", "GET / HTTP/1.1\r\nHost: shop\r\nX: \x1b[2J\x07\r\n", "GET / HTTP/1.1\r\nHost: shop\r\nTraceparent: " + evil + "\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.traffic, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, q+"Connection: close\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if len(answer) < 12 {
			t.Fatalf("%q is answered %q", q, answer)
		}
		answered[string(answer[9:12])] = true
	}
	for _, status := range []string{"400", "500", "502"} {
		if !answered[status] {
			t.Errorf("no request was answered %s: %v", status, answered)
		}
	}

	// The page: what came is shown as it is, and nothing was made of it.
	b.AwaitText(".problem", "panic mode")
	b.AwaitText(".timeline", "ejected as unhealthy")
	b.AwaitText("#policy", "2 <img src=x onerror=alert(1)>")
	if n := browsertest.Eval[int](b, `document.querySelectorAll("body img, body script, body b, [onerror], [onmouseover], [onload]").length`); n > 0 {
		t.Errorf("%d elements were made of what was sent", n)
	}
	if c1 := browsertest.Eval[[]string](b, `[...document.body.innerText.matchAll(/.*[\u0000-\u0008\u000b-\u001f\u007f-\u009f].*/g)].map((m) => m[0])`); len(c1) > 0 {
		t.Errorf("the page has control characters, which go wherever its text is copied to: %q", c1)
	}

	// Everything that is read elsewhere.
	r.await("the access log has them", func() bool {
		text, err := os.ReadFile(access)
		return err == nil && bytes.Count(text, []byte("\n")) >= 11
	})
	log, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the access log": string(log), "the balancer's own log": own.String()}
	for _, path := range []string{"/metrics", "/api/v1/status", "/api/v1/explain?url=" + "http://shop/%22%3E%3Cimg%20src=x%3E%1b", "/"} {
		texts[path] = r.text(path)
	}
	texts["/api/v1/events"] = r.stream("/api/v1/events")(1, "event: ")
	texts["/api/v1/tail"] = tail(11, "event: request")
	for path, word := range map[string]string{"/api/v1/events": "ejected as unhealthy", "/api/v1/tail": "img src=x onerror=alert(1)"} {
		if !strings.Contains(texts[path], word) {
			t.Errorf("%s does not tell of %s: %q", path, word, texts[path])
		}
	}
	control := regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]`)
	for where, text := range texts {
		if at := control.FindStringIndex(text); at != nil || strings.ToValidUTF8(text, "") != text {
			t.Errorf("%s has what steers a terminal, or is no UTF-8: %q", where, text)
		}
	}
	if !strings.Contains(texts["the access log"], "onmouseover=alert(1)") || strings.ContainsFunc(texts["the access log"], func(c rune) bool { return c > '~' }) {
		t.Error("the access log does not have what was sent, or not as ASCII")
	}
	// In metrics nothing is that a client or an endpoint chose.
	for _, word := range []string{"onmouseover", "onload", "owned", "<script"} {
		if strings.Contains(texts["/metrics"], word) {
			t.Errorf("/metrics has %s", word)
		}
	}
	if strings.Contains(texts["/"], "<img") {
		t.Error("the page without scripts has an element made of a policy's version")
	}
	complaints, asked := b.Heard()
	for _, url := range asked {
		if !strings.HasPrefix(url, r.admin+"/") {
			t.Errorf("the page asks for %s", url)
		}
	}
	if len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
	r.stop()
	if err := r.join(); err != nil {
		t.Error(err)
	}
}

// stream opens a stream of the admin address. What it returns reads until n messages have
// come with a line that begins so.
func (r *rig) stream(path string) (read func(n int, begin string) string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	r.t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, "GET", r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: r.client.Transport}).Do(q) // no limit but that one
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return func(n int, begin string) string {
		r.t.Helper()
		defer resp.Body.Close()
		var out strings.Builder
		for in, counted := bufio.NewReader(resp.Body), false; n > 0; {
			line, err := in.ReadString('\n')
			out.WriteString(line)
			switch {
			case err != nil:
				r.t.Fatalf("%s: %v, and %d messages are missing after %q", path, err, n, out.String())
			case strings.HasPrefix(line, begin):
				counted = true
			case line == "\n" && counted:
				n, counted = n-1, false
			}
		}
		return out.String()
	}
}

// text is a document of the admin address.
func (r *rig) text(path string) string {
	r.t.Helper()
	_, text := r.get(r.admin + path)
	return text
}
