package main

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"go-loadbalancer/conformance/corpus"
)

// relay is a subject that understands nothing: bytes go both ways as they are.
func relay(t *testing.T) *runner {
	t.Helper()
	b, err := listenBackend()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp4", b.addr())
			if err != nil {
				down.Close()
				return
			}
			pass := func(to, from net.Conn) {
				io.Copy(to, from)
				to.(*net.TCPConn).CloseWrite()
			}
			running.Go(func() {
				var both sync.WaitGroup
				both.Go(func() { pass(up, down) })
				both.Go(func() {
					pass(down, up)
					down.Close()
				})
				both.Wait()
				up.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.close()
		running.Wait()
	})
	return &runner{addr: l.Addr().String(), backend: b, quiet: patience, settle: func() { b.gone(0) }}
}

// A proxy that passes everything on gets no case right in which something must be
// refused: else that case could not fail.
func TestRelayRefusesNothing(t *testing.T) {
	for _, q := range load(t).Requests {
		// What is not whole hangs in a relay as it hangs in its backend.
		if q.Valid() || q.Silent {
			continue
		}
		t.Run(q.Topic+"/"+q.Name, func(t *testing.T) {
			t.Parallel()
			r := relay(t)
			r.quiet = relayQuiet
			o, err := r.request(q, false)
			if err != nil {
				t.Fatal(err)
			}
			if v := judgeRequest(q, o); v.grade == right {
				t.Errorf("graded right\n%s", o.detail())
			}
		})
	}
}

// relayQuiet is how long an answer is waited for that need not come: too short a
// time only makes the grade a worse one.
const relayQuiet = patience / 400

func TestRelayPassesOn(t *testing.T) {
	for _, q := range load(t).Requests {
		if q.Topic != "pipelining" || !q.Valid() || q.Close || q.Name == "an empty line between requests" {
			continue
		}
		t.Run(q.Name, func(t *testing.T) {
			t.Parallel()
			o, err := relay(t).request(q, false)
			if err != nil {
				t.Fatal(err)
			}
			if v := judgeRequest(q, o); v.grade != right {
				t.Errorf("%s: %s\n%s", v.grade, v.why, o.detail())
			}
		})
	}
}

// What a relay passes on of a bad response is never right but where the backend's
// own end is the break that the client must see.
func TestRelayOfBadResponses(t *testing.T) {
	for _, p := range load(t).Responses {
		if !p.Bad || p.Broken || p.End || p.Reset {
			continue
		}
		t.Run(p.Topic+"/"+p.Name, func(t *testing.T) {
			t.Parallel()
			r := relay(t)
			r.quiet = relayQuiet
			o, err := r.response(p)
			if err != nil {
				t.Fatal(err)
			}
			if v := judgeResponse(p, o); v.grade == right {
				t.Errorf("graded right\n%s", o.detail())
			}
		})
	}
}

// docs/conformance.md comes of make conformance, which needs the
// peers; that it is about this corpus needs none.
func TestReportIsOfThisCorpus(t *testing.T) {
	text, err := os.ReadFile("../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	c := load(t)
	for _, q := range c.Requests {
		want = append(want, row(q.Name, expectRequest(q)))
	}
	for _, p := range c.Responses {
		want = append(want, row(p.Name, expectResponse(p)))
	}
	_, tables, _ := strings.Cut(string(text), "\n## Requests\n")
	for line := range strings.Lines(tables) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| case |") {
			cells := strings.SplitAfterN(line, " |", 3)
			got = append(got, cells[0]+cells[1])
		}
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("docs/conformance.md is not of this corpus: run make conformance. The first difference is in case %d: it has\n%q\nand the corpus\n%q",
				i+1, at(got, i), at(want, i))
		}
	}
	var choice strings.Builder
	choices(&choice, c)
	if !strings.HasSuffix(string(text), choice.String()) {
		t.Error("docs/conformance.md does not end with this corpus's choices: run make conformance")
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

func TestJudge(t *testing.T) {
	get := func(target string) received {
		return received{&message{start: [3]string{"GET", target, "HTTP/1.1"}, fields: []field{{"Host", "h"}}}, 1}
	}
	two := &corpus.Request{Forward: []corpus.Forwarded{{Method: "GET", Target: "/1"}, {Method: "GET", Target: "/2"}}}
	bad := &corpus.Request{Refuse: []int{400}}
	ok := &message{status: 200}
	for _, c := range []struct {
		name string
		q    *corpus.Request
		o    observed
		want grade
	}{
		{"all of it", two, observed{answers: []*message{ok, ok}, end: kept, got: []received{get("/1"), get("/2")}}, right},
		{"one too few", two, observed{answers: []*message{ok}, end: closed, got: []received{get("/1")}}, refused},
		{"one too many", two, observed{answers: []*message{ok, ok}, end: kept, got: []received{get("/1"), get("/2"), get("/3")}}, smuggled},
		{"the connection ends", two, observed{answers: []*message{ok, ok}, end: closed, got: []received{get("/1"), get("/2")}}, other},
		{"refused", bad, observed{answers: []*message{{status: 400}}, end: closed}, right},
		{"refused and left open", bad, observed{answers: []*message{{status: 400}}, end: kept}, other},
		{"refused by another status", bad, observed{answers: []*message{{status: 500}}, end: closed}, other},
		{"refused, and two answers", bad, observed{answers: []*message{{status: 400}, {status: 400}}, end: closed}, other},
		{"refused, and its beginning passed on", bad, observed{answers: []*message{{status: 400}}, end: closed, got: []received{{&message{partial: true}, 1}}}, other},
		{"refused and passed on", bad, observed{answers: []*message{{status: 400}}, end: closed, got: []received{get("/1")}}, passed},
		{"passed on as it was", bad, observed{answers: []*message{{status: 400}}, end: closed, got: []received{{&message{malformed: "line end"}, 1}}}, malformed},
	} {
		if v := judgeRequest(c.q, &c.o); v.grade != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, v.grade, v.why, c.want)
		}
	}
}
