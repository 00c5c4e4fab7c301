package storytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// microsecond is what the log's seconds are cut to.
const microsecond = 1e-6

// logAgrees holds each line of the access log against the truth, once it is closed, and
// returns the lines by request id.
func (w *truth) logAgrees(hash string) map[string]string {
	t := w.shop.t
	t.Helper()
	text, err := os.ReadFile(w.shop.log)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range bytes.Lines(text) {
		var f map[string]any
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		id := fmt.Sprint(f["request_id"])
		if lines[id] != "" {
			t.Errorf("request %s is logged twice", id)
		}
		lines[id] = strings.TrimSuffix(string(line), "\n")
	}
	if len(lines) != len(w.asked) {
		t.Errorf("%d requests are logged, %d were made", len(lines), len(w.asked))
	}
	for i := range w.asked {
		a := &w.asked[i]
		var f map[string]any
		if err := json.Unmarshal([]byte(lines[a.id]), &f); err != nil {
			t.Errorf("request %s is not logged: %v", a.id, err)
			continue
		}
		tries := w.tries[a.id]
		var shown any // nil: they are left out
		flags := "00"
		if a.sampled {
			flags = "01"
			shown = flags
		}
		for name, want := range map[string]any{
			"http.request.method": a.method, "url.path": a.path, "server.address": "shop.example.com", "client.address": "127.0.0.1",
			"http.response.status_code": float64(a.status), "route": a.route(), "pool": "cart", "upstream": tries[len(tries)-1].address,
			"attempts": float64(len(tries)), "response_flags": strings.Join(w.flags(a), ","), "session_use": w.use(a),
			"trace_flags": shown, "policy_hash": hash[:12],
		} {
			if f[name] != want {
				t.Errorf("the log says of request %s %s %v; it was %v\n%s", a.id, name, f[name], want, lines[a.id])
			}
		}
		if a.trace != "" && f["trace_id"] != a.trace {
			t.Errorf("the log says of request %s trace %v; it was sent as part of %s", a.id, f["trace_id"], a.trace)
		}
		// What each server was told is part of that trace.
		for _, one := range tries {
			if p := strings.Split(one.Traceparent, "-"); len(p) != 4 || p[1] != f["trace_id"] || p[3] != flags {
				t.Errorf("request %s came to %s with traceparent %q; its line: %s", a.id, one.address, one.Traceparent, lines[a.id])
			}
		}
		// The last try's answer began not before its server wrote it, and within the request.
		if last := tries[len(tries)-1]; last.Whole {
			first, _ := f["upstream_first_byte"].(float64)
			if least := last.Answered.Sub(tries[0].Start).Seconds() - microsecond; first < least || first > f["http.server.request.duration"].(float64) {
				t.Errorf("the log says that the answer to request %s began after %v s; its server wrote it after %v s at the least\n%s", a.id, first, least, lines[a.id])
			}
		}
		if took := f["http.server.request.duration"].(float64); took <= 0 || took > (a.end.Sub(a.start)+around).Seconds() {
			t.Errorf("the log says that request %s took %v s; its client waited %v", a.id, took, a.end.Sub(a.start))
		}
	}
	return lines
}

// ownLogAgrees holds what the balancer's own log says of breakers against the script.
func (w *truth) ownLogAgrees() {
	t := w.shop.t
	t.Helper()
	type line struct {
		Msg, Pool, Endpoint, From, Reason string
		At                                time.Time
	}
	var got, want []line
	for text := range strings.Lines(w.shop.own.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if strings.HasPrefix(l.Msg, "circuit breaker ") {
			got = append(got, l)
		}
	}
	for _, e := range w.changes {
		want = append(want, line{"circuit breaker " + string(e.To), "cart", e.Address, string(e.From), e.Reason, e.At.Round(0).UTC()})
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Millisecond)); diff != "" {
		t.Errorf("the balancer's own log does not say how breakers changed (-was +said):\n%s", diff)
	}
}

// headersAgree holds X-LB-Explain of each response against the truth.
func (w *truth) headersAgree() {
	t := w.shop.t
	t.Helper()
	for i := range w.asked {
		a := &w.asked[i]
		tries := w.tries[a.id]
		last := tries[len(tries)-1]
		for _, want := range []string{
			fmt.Sprintf("route=%q", a.route()), `pool="cart"`, `by="RoundRobin"`, fmt.Sprintf("session=%q", w.use(a)),
			fmt.Sprintf("endpoint=%q", w.id(last.address)), fmt.Sprintf("address=%q", last.address), fmt.Sprintf("attempts=%d", len(tries)), "of=3",
		} {
			if !strings.Contains(a.explained, want) {
				t.Errorf("X-LB-Explain of request %s does not say %s: %s", a.id, want, a.explained)
			}
		}
	}
}
