package backend_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/sim/backend"
)

func control(t *testing.T, addr, method, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+addr+backend.ControlPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestControl(t *testing.T) {
	b, addr := start(t, backend.Options{})
	for _, step := range []struct {
		method, body string
		status       int
		want         string // part of the answer
	}{
		{"GET", "", 200, "{}\n"},
		{"PUT", `{"hang":true}`, 200, `{"hang":true}` + "\n"},
		{"GET", "", 200, `{"hang":true}` + "\n"}, // hangs the others, not this
		{"PUT", `{"latency":"1s","truncate":0}`, 200, `{"latency":{"p50":"1s"},"truncate":0}` + "\n"},
		{"PUT", `{"hangs":true}`, 400, `unknown field "hangs": known are respond, hang,`},
		{"GET", "", 200, `{"latency":{"p50":"1s"},"truncate":0}` + "\n"}, // as before
		{"POST", `{}`, 405, "PUT sets them"},
		{"DELETE", "", 200, "{}\n"},
		{"GET", "", 200, "{}\n"},
	} {
		status, text := control(t, addr, step.method, step.body)
		if status != step.status || !strings.Contains(text, step.want) {
			t.Errorf("%s %s: %d %q, want %d %q", step.method, step.body, status, text, step.status, step.want)
		}
	}
	if b.Requests() != 0 {
		t.Errorf("control requests were counted: %d", b.Requests())
	}
}

func TestControlIsNotForProxies(t *testing.T) {
	b, addr := start(t, backend.Options{})
	for _, h := range []string{"Via", "X-Forwarded-For"} {
		if status, _ := control(t, addr, "PUT", `{"hang":true}`, h, "1.1 lb"); status != 403 {
			t.Errorf("with %s: %d, want 403", h, status)
		}
	}
	if diff := cmp.Diff(backend.Faults{}, b.Faults()); diff != "" {
		t.Error(diff)
	}
}

func TestControlRefusesTooMuch(t *testing.T) {
	_, addr := start(t, backend.Options{})
	if status, _ := control(t, addr, "PUT", `{"health":"`+strings.Repeat("x", 70<<10)+`"}`); status != 413 {
		t.Errorf("status %d, want 413", status)
	}
}

func TestParseFaultsSaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{``, "a JSON object is wanted"},
		{`null`, "a JSON object is wanted"},
		{`[]`, "a JSON object is wanted"},
		{`{"hang":true} {}`, "something follows"},
		{`{"hang":"yes"}`, "hang: a string is not what is wanted"},
		{`{"hang":tru}`, "invalid character"},
		{`{"hang":true`, "unexpected EOF"},
		{`{"latency":50}`, "latency"},
		{`{"latency":"50"}`, `"50" is no duration: write a number with a unit`},
		{`{"latency":"-1s"}`, "latency.p50: -1s is not in 0 to 10m0s"},
		{`{"latency":"11m"}`, "latency.p50: 11m0s is not in 0 to 10m0s"},
		{`{"latency":{"p50":"2s","p99":"1s"}}`, "p99 not below it"},
		{`{"latency":{"p99":"1s"}}`, "p50 must be above 0"},
		{`{"latency":{"p95":"1s"}}`, `unknown field "p95"`},
		{`{"respond":{}}`, "respond.status: 0 is not in 200 to 599"},
		{`{"respond":{"status":101}}`, "respond.status: 101"},
		{`{"respond":{"status":500},"hang":true}`, "respond, hang: only one of them"},
		{`{"respond":{"status":500},"latency":"1s"}`, "use respond.after"},
		{`{"close":true,"reset":true}`, "close, reset: only one of them"},
		{`{"errors":1.1}`, "errors.share: 1.1 is not in 0 to 1"},
		{`{"errors":{"share":0.1,"status":200}}`, "errors.status: 200 is not in 400 to 599"},
		{`{"first":-1}`, "first.requests: -1"},
		{`{"first":1.5}`, "first"},
		{`{"slowBody":-1}`, "slowBody: -1"},
		{`{"truncate":-1}`, "truncate: -1 is below 0"},
		{`{"contentLength":-1}`, "contentLength: -1 is below 0"},
		{`{"health":"sick"}`, `health: "sick" is neither pass nor fail`},
		{`{"for":"25h"}`, "for: 25h0m0s is not in 0 to 24h"},
		{`{"health":"sick","for":"25h"}`, "for: 25h0m0s"}, // all at once
	} {
		_, err := backend.ParseFaults([]byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q in it", tc.text, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "Faults") {
			t.Errorf("%s: the message names Go types: %v", tc.text, err)
		}
	}
}

func TestFaultsSurviveJSON(t *testing.T) {
	for _, text := range []string{
		`{"respond":{"status":503,"after":"1ms"},"health":"pass"}`,
		`{"latency":{"p50":"20ms","p99":"80ms"},"errors":{"share":0.1},"first":{"requests":3,"status":500},"slowBody":100,"truncate":0,"contentLength":7}`,
		`{"reset":true}`,
	} {
		f, err := backend.ParseFaults([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		back, err := json.Marshal(f)
		if err != nil || string(back) != text {
			t.Errorf("%s came back as %s, %v", text, back, err)
		}
	}
}

func TestForCountsDown(t *testing.T) {
	b := backend.New(backend.Options{})
	setFaults(t, b, `{"hang":true,"for":"1m"}`)
	if f := b.Faults(); f.For <= 0 || time.Duration(f.For) > time.Minute {
		t.Errorf("left: %v", f.For)
	}
	setFaults(t, b, `{"hang":true,"for":"1ms"}`)
	for deadline := time.Now().Add(5 * time.Second); b.Faults().Hang; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the fault did not end by itself")
		}
	}
	setFaults(t, b, `{}`)
}

func FuzzParseFaults(f *testing.F) {
	f.Add(`{"respond":{"status":503,"after":"1ms"},"health":"pass"}`)
	f.Add(`{"latency":"1s","errors":0.5,"first":3}`)
	f.Fuzz(func(t *testing.T, text string) {
		faults, err := backend.ParseFaults([]byte(text))
		if err != nil {
			return
		}
		back, err := json.Marshal(faults)
		if err != nil {
			t.Fatalf("valid faults do not marshal: %v", err)
		}
		again, err := backend.ParseFaults(back)
		if err != nil {
			t.Fatalf("%s does not come back: %v", back, err)
		}
		if diff := cmp.Diff(faults, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
