package upstream_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

// TestRelease: a connection is lent again after a whole response with nothing
// behind it, and closed after anything else.
func TestRelease(t *testing.T) {
	await := func(t *testing.T, s upstream.Stream) *wire.Response {
		t.Helper()
		resp, err := s.Await()
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	whole := func(t *testing.T, s upstream.Stream) {
		t.Helper()
		await(t, s)
		if _, err := read(s.Body()); err != nil {
			t.Fatal(err)
		}
	}
	broken := func(t *testing.T, s upstream.Stream) {
		t.Helper()
		if _, err := s.Await(); err == nil {
			if _, err = read(s.Body()); err == nil {
				t.Fatal("no error")
			}
		}
	}
	for _, c := range []struct {
		name   string
		head   *wire.Request // nil: a GET
		answer string
		do     func(t *testing.T, s upstream.Stream)
		reused bool
	}{
		{"sized", nil, okHello, whole, true},
		{"empty", nil, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", whole, true},
		{"chunked", nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", whole, true},
		{"trailers", nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", whole, true},
		{"204", nil, "HTTP/1.1 204 No Content\r\n\r\n", whole, true},
		{"304", nil, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", whole, true},
		{"HEAD", request("HEAD", wire.NoBody, 0), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", whole, true},
		{"500", nil, "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nhello", whole, true},
		{"HTTP/1.0 keep-alive", nil, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", whole, true},
		{"interim ones before", nil, "HTTP/1.1 103 Early Hints\r\n\r\n" + okHello, func(t *testing.T, s upstream.Stream) {
			if resp := await(t, s); resp.Status != 103 {
				t.Fatal(resp.Status)
			}
			whole(t, s)
		}, true},
		{"large", nil, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), whole, true},
		{"content of a request", request("POST", wire.Sized, 4), okHello, func(t *testing.T, s upstream.Stream) {
			s.Write([]byte("ab"))
			s.Write(nil)
			s.Write([]byte("cd"))
			s.End(nil)
			whole(t, s)
		}, true},
		{"chunked content of a request", request("POST", wire.Chunked, 0), okHello, func(t *testing.T, s upstream.Stream) {
			s.Write([]byte("ab"))
			s.Write(nil) // must not end it
			s.Write([]byte("cd"))
			s.End(nil)
			whole(t, s)
		}, true},

		{"close", nil, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", whole, false},
		{"HTTP/1.0", nil, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", whole, false},
		{"something behind", nil, okHello + "H", whole, false},
		{"something behind 204", nil, "HTTP/1.1 204 No Content\r\n\r\nhello", whole, false},
		{"something behind chunks", nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", whole, false},
		{"not awaited", nil, okHello, func(t *testing.T, s upstream.Stream) {}, false},
		{"body not asked for", nil, okHello, func(t *testing.T, s upstream.Stream) { await(t, s) }, false},
		{"body not read", nil, okHello, func(t *testing.T, s upstream.Stream) { await(t, s); s.Body() }, false},
		{"body read in part", nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			func(t *testing.T, s upstream.Stream) { await(t, s); s.Body().Next() }, false},
		{"interim one alone", nil, "HTTP/1.1 100 Continue\r\n\r\n", func(t *testing.T, s upstream.Stream) { await(t, s) }, false},
		{"malformed head", nil, "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", broken, false},
		{"malformed chunk", nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", broken, false},
		{"timed out", nil, "HTTP/1.1 200 OK\r\n", func(t *testing.T, s upstream.Stream) {
			s.SetTimeout(time.Millisecond, time.Millisecond)
			broken(t, s)
		}, false},
		{"canceled", nil, okHello, func(t *testing.T, s upstream.Stream) { whole(t, s); s.Cancel() }, false},
		{"tunnel", nil, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			func(t *testing.T, s upstream.Stream) { await(t, s); s.Tunnel() }, false},
		{"101 not used", nil, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
			func(t *testing.T, s upstream.Stream) { await(t, s); read(s.Body()) }, false},
		{"content not sent to its end", request("POST", wire.Chunked, 0), okHello, func(t *testing.T, s upstream.Stream) {
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			s.Write([]byte("ab"))
			s.Flush()
			whole(t, s)
		}, false},
		{"less content than said", request("POST", wire.Sized, 4), okHello, func(t *testing.T, s upstream.Stream) {
			s.Write([]byte("abc"))
			s.End(nil)
			whole(t, s)
		}, false},
		{"more content than said", request("POST", wire.Sized, 4), okHello, func(t *testing.T, s upstream.Stream) {
			s.Write([]byte("abcd"))
			if err := s.Write([]byte("GET /admin")); err == nil {
				t.Error("no error")
			}
			s.End(nil)
			whole(t, s)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := make(chan bool, 10)
			b := serve(t, func(p *peer) {
				// The head is enough for it to answer.
				for p.head() == nil {
					if _, err := p.r.Discard(p.r.Buffered()); err != nil {
						break
					}
					if p.number == 1 {
						p.say(c.answer)
					} else {
						p.say(okHello)
					}
				}
				ended <- true
			})
			tr := b.transport(t)
			s := open(t, tr)
			head := c.head
			if head == nil {
				head = get()
			}
			s.Send(head)
			c.do(t, s)
			s.Release()
			want := map[bool]int{true: 1, false: 0}[c.reused]
			if got := tr.Idle(); got != want {
				t.Errorf("%d idle connections, want %d", got, want)
			}
			if !c.reused {
				select {
				case <-ended: // the backend saw its end
				case <-time.After(patience):
					t.Fatal("the connection was not closed")
				}
			}
			s = open(t, tr)
			if s.Reused() != c.reused {
				t.Errorf("the next stream's Reused is %v, want %v", s.Reused(), c.reused)
			}
			s.Release()
		})
	}
}

// TestReuse: one connection serves many requests, one after the other.
func TestReuse(t *testing.T) {
	b := serve(t, answering(okHello))
	tr := b.transport(t)
	for i := range 20 {
		s := open(t, tr)
		if s.Reused() != (i > 0) {
			t.Errorf("request %d: Reused %v", i, s.Reused())
		}
		status, content, err := exchange(t, s, get())
		if status != 200 || content != "hello" || err != nil {
			t.Fatalf("request %d: %d %q %v", i, status, content, err)
		}
		s.Release()
	}
	if n := b.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestReuseMany: streams of many goroutines keep to themselves.
func TestReuseMany(t *testing.T) {
	b := serve(t, func(p *peer) {
		for {
			r, content, err := p.request()
			if err != nil {
				return
			}
			answer := r.Header.Get("X-Own") + content
			if len(answer)%2 == 0 {
				p.say("HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(answer)) + "\r\n\r\n" + answer)
			} else {
				p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + string(wire.AppendChunkHeader(nil, len(answer))) + answer + "\r\n0\r\n\r\n")
			}
		}
	})
	tr := b.transport(t)
	const goroutines = 16
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	var all sync.WaitGroup
	for id := range goroutines {
		all.Go(func() {
			mark := string(rune('A' + id))
			for i := range rounds {
				s, err := tr.Open()
				if err != nil {
					t.Error(err)
					return
				}
				s.SetTimeout(patience, patience)
				own, content := strings.Repeat(mark, 1+i), strings.Repeat(mark, (i*i*i)%40000)
				head := request("POST", wire.Sized, int64(len(content)))
				head.Fields = wire.Fields{{Name: []byte("X-Own"), Value: []byte(own)}}
				s.Send(head)
				if err := s.Write([]byte(content)); err != nil {
					t.Error(err)
				}
				s.End(nil)
				_, err = s.Await()
				if err != nil {
					t.Errorf("goroutine %d, round %d: %v", id, i, err)
					s.Release()
					return
				}
				if got, err := read(s.Body()); err != nil || got != own+content {
					t.Errorf("goroutine %d, round %d: %d bytes, want %d of its own; %v", id, i, len(got), len(own+content), err)
				}
				s.Release()
			}
		})
	}
	all.Wait()
	if n := b.connections(); n > goroutines {
		t.Errorf("%d connections for %d goroutines", n, goroutines)
	}
}

// TestAllocations: a request on a connection that is kept allocates nothing.
func TestAllocations(t *testing.T) {
	b := serve(t, func(p *peer) {
		buf := make([]byte, 1024)
		for {
			if _, err := p.Conn.Read(buf); err != nil {
				return
			}
			p.Conn.Write(hello)
		}
	})
	tr := b.transport(t)
	head := get()
	got := testing.AllocsPerRun(200, func() {
		s, err := tr.Open()
		if err != nil {
			t.Fatal(err)
		}
		s.Send(head)
		s.SetTimeout(patience, 2*patience)
		if _, err := s.Await(); err != nil {
			t.Fatal(err)
		}
		body := s.Body()
		for err == nil {
			_, err = body.Next()
		}
		s.Release()
	})
	if got >= 1 {
		t.Errorf("a request allocates %v times, want 0", got)
	}
}

var hello = []byte(okHello)
