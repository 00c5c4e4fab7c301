package explain_test

import (
	"net/url"
	"strings"
	"testing"

	"go-loadbalancer/lb/explain"
)

// Whatever is asked is refused with a sentence, or is one head of a request with what was
// asked for, which its own form gives again.
func FuzzQuestion(f *testing.F) {
	for _, s := range []string{
		"url=/", "method=GET&url=http://a.test/b?c%3Dd&header=X-A:+1&client=::1", "url=http://a@b/", "url=http://[::1]:80/",
		"url=*&method=OPTIONS", "url=http://a/%250d%250a&header=Host:+b", "url=/&header=Transfer-Encoding:+chunked", "url=//x", "url=http://a?b",
		"url=/&header=Cookie:+lb_session%3Dx;+y%3Dz", "header=a:b&header=a:b&url=/%0d%0a%0d%0aGET+/", "url=http://a\\b/", "url=/a%20HTTP/1.0%0d%0aX:y%20",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		q, err := explain.FromValues(values)
		if err == nil {
			var asked *explain.Asked
			if asked, err = q.Parse(); err == nil {
				h := &asked.Head
				if len(h.Fields) > len(q.Header)+1 || h.Minor != 1 || q.Method != "" && string(h.Method) != q.Method {
					t.Fatalf("%q became %q %q with %d fields", form, h.Method, h.Target, len(h.Fields))
				}
				if strings.ContainsAny(string(h.Target), " \r\n#") || len(h.Path) == 0 {
					t.Fatalf("%q became the target %q", form, h.Target)
				}
				again, err := explain.FromValues(q.Values())
				if err != nil {
					t.Fatalf("%q: its own form is refused: %v", form, err)
				}
				if b, err := again.Parse(); err != nil || string(b.Head.Target) != string(h.Target) || string(b.Head.Authority) != string(h.Authority) || len(b.Head.Fields) != len(h.Fields) {
					t.Fatalf("%q: its own form differs: %v", form, err)
				}
				return
			}
		}
		if text := err.Error(); len(text) > 1000 || strings.ContainsAny(text, "\r\n\x1b") {
			t.Fatalf("refused by %q", text)
		}
	})
}

// A terminal obeys nothing of what a client sent.
func TestTextIsPlain(t *testing.T) {
	var b strings.Builder
	d := explain.Decision{
		Outcome: explain.Redirect, Answer: "302 to http://a/\x1b[31m",
		Request: explain.Request{Method: "GET", Host: "a\x1b[2J", Path: "/\u202e\x07"},
		Notes:   []string{"\x1b]0;x\x07"},
	}
	if err := d.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r < ' ' && r != '\n' || r == 0x7f || r == 0x202e {
			t.Fatalf("%q", b.String())
		}
	}
}
