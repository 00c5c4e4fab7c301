package admin_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go-loadbalancer/lb/explain"
)

func TestExplain(t *testing.T) {
	var asked *explain.Asked
	b := &fake{explains: func(q *explain.Asked) (*explain.Decision, error) {
		asked = q
		return &explain.Decision{Outcome: explain.NoRoute, Answer: "404", Request: explain.Request{Path: string(q.Head.Path)}}, nil
	}}
	c := serve(t, b, nil)
	get := func(query string) (int, string) {
		t.Helper()
		resp, err := c.http.Get(c.base + "/api/v1/explain?" + query)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, resp)
	}
	status, body := get("method=POST&url=" + url.QueryEscape("https://shop.test:8443/a/../b?q=1#x") + "&header=X-A:+1&header=x-b:2&client=10.1.2.3")
	if status != 200 || !strings.Contains(body, `"outcome": "no-route"`) {
		t.Fatalf("%d %s", status, body)
	}
	h := &asked.Head
	if string(h.Method) != "POST" || string(h.Authority) != "shop.test:8443" || string(h.Target) != "/a/../b?q=1" || asked.Scheme != "https" || asked.Client.String() != "10.1.2.3" {
		t.Errorf("asked %s %s %s by %s from %s", h.Method, h.Authority, h.Target, asked.Scheme, asked.Client)
	}
	if v, _ := h.Fields.Get("X-B"); string(v) != "2" {
		t.Errorf("fields %v", h.Fields)
	}
	for query, want := range map[string]string{
		"":                                       "no URL",
		"url=shop":                               "begins with http",
		"url=ftp://a/":                           "begins with http",
		"url=http://":                            "begins with http",
		"url=/a&url=/b":                          "2 times",
		"url=/a&colour=red":                      "colour",
		"url=/a&header=x":                        "Name: value",
		"url=/a&header=x:a%0d%0aHost:+b":         "line breaks",
		"url=/a&header=Host:+a%20b":              "refuse",
		"url=/a&method=G%20T":                    "method",
		"url=/a%20HTTP/1.0%0d%0aX:y%20":          "refuse",
		"url=/a&client=nobody":                   "IP address",
		"url=/a&header=Content-Length:+x":        "refuse",
		"url=%zz":                                "invalid URL escape",
		"url=/" + strings.Repeat("a", 9000) + "": "8192 at most",
	} {
		if status, body := get(query); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%.60s: %d %s, want %q", query, status, body, want)
		}
	}
	post := func(kind, form string) (int, string) {
		t.Helper()
		resp, err := c.http.Post(c.base+"/api/v1/explain", kind, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		return read(t, resp)
	}
	if status, body := post("application/x-www-form-urlencoded", "url=%2Fposted"); status != 200 || !strings.Contains(body, `"path": "/posted"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := post("application/json", "{}"); status != 415 {
		t.Error(status)
	}
	if status, _ := post("application/x-www-form-urlencoded", "url="+strings.Repeat("a", 200<<10)); status != 413 {
		t.Error(status)
	}
	b.explains = func(*explain.Asked) (*explain.Decision, error) { return nil, errors.New("no policy serves yet") }
	if status, body := get("url=/"); status != 503 || !strings.Contains(body, "no policy") {
		t.Errorf("%d %s", status, body)
	}
}

func read(t *testing.T, resp *http.Response) (int, string) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(body) {
		t.Errorf("not JSON: %s", body)
	}
	return resp.StatusCode, string(body)
}

// No more questions are answered at a time than there are places.
func TestExplainIsBounded(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	c := serve(t, &fake{explains: func(*explain.Asked) (*explain.Decision, error) {
		begun <- struct{}{}
		<-end
		return &explain.Decision{}, nil
	}}, nil)
	done := make(chan int)
	for range 4 {
		go func() {
			resp, err := c.http.Get(c.base + "/api/v1/explain?url=/")
			if err != nil {
				done <- 0
				return
			}
			resp.Body.Close()
			done <- resp.StatusCode
		}()
		<-begun
	}
	resp, err := c.http.Get(c.base + "/api/v1/explain?url=/")
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := read(t, resp); status != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the fifth: %d", status)
	}
	close(end)
	for range 4 {
		if status := <-done; status != 200 {
			t.Error(status)
		}
	}
}
