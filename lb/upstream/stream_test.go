package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/upstream"
	"go-loadbalancer/lb/wire"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestErrors: what an endpoint does wrong has its kind.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  string // and then it closes, unless it stays
		stays   bool
		want    upstream.Kind
		content string // read before the error
	}{
		{"closes", "", false, upstream.Reset, ""},
		{"closes inside the head", "HTTP/1.1 200 OK\r\nContent-", false, upstream.Reset, ""},
		{"closes after an interim response", "HTTP/1.1 100 Continue\r\n\r\n", false, upstream.Reset, ""},
		{"is silent", "", true, upstream.Timeout, ""},
		{"is silent inside the head", "HTTP/1.1 200 OK\r\n", true, upstream.Timeout, ""},
		{"is silent inside the content", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true, upstream.Timeout, "hel"},
		{"truncates", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", false, upstream.Truncated, "hel"},
		{"truncates chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", false, upstream.Truncated, "hel"},
		{"truncates the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n", false, upstream.Truncated, "hel"},
		{"says garbage", "SSH-2.0-OpenSSH_9.2\r\n", true, upstream.Protocol, ""},
		{"says half of garbage", "\x00", true, upstream.Protocol, ""},
		{"says garbage for a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", true, upstream.Protocol, "hel"},
		{"has an endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 40), true, upstream.Protocol, ""},
		{"has endless fields", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 300), true, upstream.Protocol, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := serve(t, func(p *peer) {
				p.head()
				p.say(c.answer)
				if c.stays {
					io.Copy(io.Discard, p)
				}
			})
			s := open(t, b.transport(t))
			defer s.Release()
			if c.want == upstream.Timeout {
				s.SetTimeout(20*time.Millisecond, 20*time.Millisecond)
			}
			s.Send(get())
			resp, err := s.Await()
			for err == nil && resp.Status < 200 {
				resp, err = s.Await()
			}
			content := ""
			if err == nil {
				content, err = read(s.Body())
			}
			if kind(err) != c.want || content != c.content {
				t.Errorf("kind %v after %q, want %v after %q (%v)", kind(err), content, c.want, c.content, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), b.address+": "+c.want.String()+": ") {
				t.Errorf("the message does not say where and what: %v", err)
			}
		})
	}
}

// TestTimeoutResumed: after a timeout the same wait goes on, for a head and for
// content.
func TestTimeoutResumed(t *testing.T) {
	more := make(chan bool)
	b := serve(t, func(p *peer) {
		for p.head() == nil {
			for _, part := range []string{"HTTP/1.1 200 OK\r\nCont", "ent-Length: 5\r\n\r\nhel", "lo"} {
				<-more
				p.say(part)
			}
		}
	})
	tr := b.transport(t)
	for round := range 2 {
		s := open(t, tr)
		if s.Reused() != (round > 0) {
			t.Errorf("round %d: Reused %v", round, s.Reused())
		}
		s.Send(get())
		short := func() { s.SetTimeout(5*time.Millisecond, 10*time.Millisecond) }
		long := func() { s.SetTimeout(patience, patience) }
		timeout := func(err error) {
			t.Helper()
			if kind(err) != upstream.Timeout || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%v, want a timeout", err)
			}
		}
		short()
		_, err := s.Await()
		timeout(err)
		_, err = s.Await()
		timeout(err)
		more <- true
		short()
		_, err = s.Await()
		timeout(err)
		long()
		more <- true
		if _, err = s.Await(); err != nil {
			t.Fatal(err)
		}
		body := s.Body()
		var got []byte
		for len(got) < 3 {
			piece, err := body.Next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece...)
		}
		short()
		_, err = body.Next()
		timeout(err)
		long()
		more <- true
		rest, err := read(body)
		if string(got)+rest != "hello" || err != nil {
			t.Errorf("%q and %q, %v", got, rest, err)
		}
		s.Release()
	}
}

// TestTimeoutBeforeSent: should the deadline pass before the request was written,
// on a machine that stalls, the next Await sends it.
func TestTimeoutBeforeSent(t *testing.T) {
	b := serve(t, answering(okHello))
	stall := &stalling{}
	tr := upstream.NewTransport(upstream.Options{Address: b.address, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		stall.TCPConn, stall.on = nc.(*net.TCPConn), true
		return stall, nil
	}})
	defer tr.Abort()
	s := open(t, tr)
	s.Send(get())
	if _, err := s.Await(); kind(err) != upstream.Timeout {
		t.Fatal(err)
	}
	stall.on = false
	s.SetTimeout(2*patience, 2*patience)
	if _, err := s.Await(); err != nil {
		t.Errorf("awaited again: %v", err)
	}
	if content, err := read(s.Body()); content != "hello" || err != nil {
		t.Error(content, err)
	}
	s.Release()
	if tr.Idle() != 1 {
		t.Error("the connection was not kept")
	}
}

// stalling is a socket whose deadlines have passed once they are set.
type stalling struct {
	*net.TCPConn
	on bool
}

func (s *stalling) SetReadDeadline(at time.Time) error {
	if s.on {
		at = time.Unix(1, 0)
	}
	return s.TCPConn.SetReadDeadline(at)
}

// TestStale: a kept connection that has gone is told from an endpoint that fails;
// and a request that may have been acted on is not offered to be sent again.
func TestStale(t *testing.T) {
	// What the backend does with the connection's second request.
	for _, c := range []struct {
		name, method string
		before       string // said, before it closes, while the connection is idle; "-": nothing, and it stays
		after        string // said, before it closes, once the second request has come
		want         upstream.Kind
	}{
		{"closed while idle", "GET", "", "", upstream.Stale},
		{"closed while idle, POST", "POST", "", "", upstream.Stale},
		{"said something while idle", "GET", "HTTP/1.1 408 Request Timeout\r\n\r\n", "", upstream.Stale},
		{"said something while idle, POST", "POST", "HTTP/1.1 408 Request Timeout\r\n\r\n", "", upstream.Stale},
		{"closed when asked, GET", "GET", "-", "", upstream.Stale},
		{"closed when asked, HEAD", "HEAD", "-", "", upstream.Stale},
		{"closed when asked, PUT", "PUT", "-", "", upstream.Stale},
		{"closed when asked, DELETE", "DELETE", "-", "", upstream.Stale},
		{"closed when asked, POST", "POST", "-", "", upstream.Reset},
		{"closed when asked, PATCH", "PATCH", "-", "", upstream.Reset},
		{"closed when asked, unknown method", "MOVE", "-", "", upstream.Reset},
		{"closed when asked, method in lower case", "get", "-", "", upstream.Reset},
		{"closed when half answered", "GET", "-", "HTTP/1.1 2", upstream.Reset},
		{"closed after an interim response", "GET", "-", "HTTP/1.1 102 x\r\n\r\n", upstream.Reset},
	} {
		t.Run(c.name, func(t *testing.T) {
			idle := make(chan bool)
			b := serve(t, func(p *peer) {
				if p.number > 1 {
					answering(okHello)(p)
					return
				}
				p.head()
				p.say(okHello)
				if c.before != "-" {
					<-idle
					p.say(c.before)
					return
				}
				p.head()
				p.say(c.after)
			})
			var socket watched
			tr := upstream.NewTransport(upstream.Options{Address: b.address, Dial: socket.dial})
			defer tr.Abort()
			s := open(t, tr)
			if _, _, err := exchange(t, s, get()); err != nil {
				t.Fatal(err)
			}
			s.Release()
			if c.before != "-" {
				close(idle)
				socket.awaitReadable(t)
			}
			s = open(t, tr)
			if !s.Reused() {
				t.Fatal("not reused")
			}
			s.Send(request(c.method, wire.NoBody, 0))
			resp, err := s.Await()
			if err == nil && resp.Status == 102 {
				_, err = s.Await()
			}
			if kind(err) != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			s.Release()
			s, err = tr.OpenNew(0)
			if err != nil {
				t.Fatal(err)
			}
			s.SetTimeout(patience, patience)
			if status, _, err := exchange(t, s, get()); status != 200 || err != nil || s.Reused() {
				t.Errorf("on a new connection: %d %v, reused %v", status, err, s.Reused())
			}
			s.Release()
		})
	}
}

// TestResetMetByTheWriter: an endpoint that reads a request's head, and breaks the
// connection off before its system has acknowledged that, may have acted on it. The reset
// is reported once. If the goroutine that writes the body meets it, the one that reads
// finds what looks like an end of the stream, which does not make this a request that
// nobody read.
func TestResetMetByTheWriter(t *testing.T) {
	broken := make(chan bool)
	b := serve(t, func(p *peer) {
		for range 3 { // so that acknowledgements wait for answers to go with
			p.request()
			p.say(okHello)
		}
		p.head()
		p.Conn.(*net.TCPConn).SetLinger(0)
		p.Close()
		close(broken)
	})
	tr := b.transport(t)
	for range 3 {
		s := open(t, tr)
		if _, _, err := exchange(t, s, get()); err != nil {
			t.Fatal(err)
		}
		s.Release()
	}
	s := open(t, tr)
	defer s.Release()
	if !s.Reused() {
		t.Fatal("not reused")
	}
	s.Send(request("POST", wire.Sized, 1<<30))
	err := s.Start()
	<-broken
	for err == nil { // until the reset has come
		if err = s.Write([]byte("a piece of the body")); err == nil {
			err = s.Flush()
		}
	}
	if kind(err) != upstream.Reset {
		t.Fatalf("the writer: %v", err)
	}
	if _, err := s.Await(); kind(err) != upstream.Reset || s.Delivery() != upstream.Unanswered {
		t.Errorf("the reader: %v, delivery %v; want %v", err, s.Delivery(), upstream.Reset)
	}
}

// TestStart: a long or a streamed body goes out on a kept connection however long
// that was idle, and one that has gone is found out before a byte of it is sent.
func TestStart(t *testing.T) {
	content := strings.Repeat("0123456789", 10000)
	b := serve(t, func(p *peer) {
		for i := 0; ; i++ {
			_, got, err := p.request()
			if err != nil {
				return
			}
			p.say("HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(got)) + "\r\n\r\n" + got)
			if i == 2 {
				return
			}
		}
	})
	var socket watched
	tr := upstream.NewTransport(upstream.Options{Address: b.address, Dial: socket.dial})
	defer tr.Abort()
	post := func(framing wire.Framing) error {
		s := open(t, tr)
		defer s.Release()
		s.SetTimeout(time.Millisecond, 2*time.Millisecond) // passes while the connection is idle
		s.Send(request("POST", framing, int64(len(content))))
		if err := s.Write([]byte(content)); err != nil {
			return err
		}
		if err := s.End(nil); err != nil {
			return err
		}
		_, err := s.Await()
		for kind(err) == upstream.Timeout {
			_, err = s.Await()
		}
		if err != nil {
			return err
		}
		body := s.Body()
		var got []byte
		for err == nil || kind(err) == upstream.Timeout {
			var piece []byte
			piece, err = body.Next()
			got = append(got, piece...)
		}
		if err != io.EOF || string(got) != content {
			t.Errorf("%d bytes came back, want %d; %v", len(got), len(content), err)
		}
		return nil
	}
	for i, framing := range []wire.Framing{wire.Sized, wire.Chunked, wire.Sized} {
		if err := post(framing); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		time.Sleep(5 * time.Millisecond) // longer than the deadline in force
	}
	socket.awaitReadable(t)
	if err := post(wire.Sized); kind(err) != upstream.Stale {
		t.Errorf("on a connection that has gone: %v, want %v", err, upstream.Stale)
	}
	if err := post(wire.Sized); err != nil {
		t.Errorf("on a new one: %v", err)
	}
	if n := b.connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestFlushBeforeAwait: what was flushed is sent, and an answer that came since is
// the answer, not something unasked.
func TestFlushBeforeAwait(t *testing.T) {
	answered := make(chan bool, 1)
	b := serve(t, func(p *peer) {
		if p.head() == nil {
			p.say(okHello)
			answered <- true
			io.Copy(io.Discard, p)
		}
	})
	s := open(t, b.transport(t))
	defer s.Release()
	s.Send(request("POST", wire.Sized, 4))
	s.Write([]byte("ab"))
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	<-answered
	s.Write([]byte("cd"))
	s.End(nil)
	if resp, err := s.Await(); err != nil || resp.Status != 200 {
		t.Error(err)
	}
}

// TestGatherEdge: whatever the length, nothing of a body goes out before the
// connection was looked at; framing counts towards what can be gathered.
func TestGatherEdge(t *testing.T) {
	late := make(chan int64)
	b := serve(t, func(p *peer) {
		if p.head() == nil {
			p.say(okHello)
			p.Conn.(*net.TCPConn).CloseWrite()
			n, _ := io.Copy(io.Discard, p.r)
			late <- n
		}
	})
	var socket watched
	tr := upstream.NewTransport(upstream.Options{Address: b.address, Dial: socket.dial})
	defer tr.Abort()
	for n := wire.GatherLimit - 100; n < wire.GatherLimit+10; n++ {
		s := open(t, tr)
		if _, _, err := exchange(t, s, get()); err != nil {
			t.Fatal(err)
		}
		s.Release()
		socket.awaitReadable(t)
		s = open(t, tr)
		s.Send(request("POST", wire.Chunked, 0))
		err := s.Write(make([]byte, n))
		if err == nil {
			err = s.End(nil)
		}
		if err == nil {
			_, err = s.Await()
		}
		if kind(err) != upstream.Stale {
			t.Errorf("%d bytes on a connection that has gone: %v, want %v", n, err, upstream.Stale)
		}
		s.Release()
		if sent := <-late; sent > 0 {
			t.Errorf("%d bytes: %d went out on a connection that has gone", n, sent)
		}
	}
}

// TestSent: a body arrives as it was written, in whatever pieces, empty ones
// among them, and nothing more.
func TestSent(t *testing.T) {
	b := serve(t, func(p *peer) {
		for {
			r, content, err := p.request()
			if err != nil {
				return
			}
			content += r.Trailer.Get("X-Sum")
			p.say("HTTP/1.1 200 OK\r\nContent-Length: " + itoa(len(content)) + "\r\n\r\n" + content)
		}
	})
	tr := b.transport(t)
	for _, framing := range []wire.Framing{wire.Sized, wire.Chunked} {
		for _, sizes := range [][]int{{}, {0}, {1}, {0, 5, 0, 0, 7, 0}, {100, 16 << 10, 1}, {16 << 10}, {15 << 10, 0, 15 << 10}, {300 << 10, 3}} {
			want := ""
			for i, n := range sizes {
				want += strings.Repeat(string(rune('a'+i)), n)
			}
			head := request("POST", framing, 0)
			if framing == wire.Sized {
				head.Length = int64(len(want))
			} else {
				head.Fields = wire.Fields{{Name: []byte("Trailer"), Value: []byte("X-Sum")}}
			}
			s := open(t, tr)
			s.Send(head)
			for i, n := range sizes {
				if err := s.Write(bytes.Repeat([]byte{byte('a' + i)}, n)); err != nil {
					t.Fatal(err)
				}
			}
			trailers := wire.Fields{{Name: []byte("X-Sum"), Value: []byte("12")}}
			if err := s.End(trailers); err != nil {
				t.Fatal(err)
			}
			if framing == wire.Chunked {
				want += "12"
			}
			if _, err := s.Await(); err != nil {
				t.Fatalf("framing %d, pieces %v: %v", framing, sizes, err)
			}
			if got, err := read(s.Body()); got != want || err != nil {
				t.Errorf("framing %d, pieces %v: %d bytes came back, want %d; %v", framing, sizes, len(got), len(want), err)
			}
			s.Release()
		}
	}
	if n := b.connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestBothWays: while one goroutine sends a body another reads the responses, the
// final one included.
func TestBothWays(t *testing.T) {
	b := serve(t, func(p *peer) {
		if p.head() != nil {
			return
		}
		p.say("HTTP/1.1 100 Continue\r\n\r\n")
		p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for { // what comes goes back
			line, err := p.r.ReadString('\n')
			if err != nil {
				return
			}
			p.say(line)
			if strings.HasPrefix(line, "0") {
				break
			}
		}
		p.say("\r\n")
		p.r.ReadString('\n')
		answering(okHello)(p)
	})
	tr := b.transport(t)
	s := open(t, tr)
	s.Send(request("POST", wire.Chunked, 0))
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	steps := make(chan bool)
	var sending sync.WaitGroup
	sending.Go(func() {
		for range steps {
			if err := s.Write([]byte("line")); err != nil {
				t.Error(err)
			}
			if err := s.Flush(); err != nil {
				t.Error(err)
			}
		}
		if err := s.End(nil); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []int{100, 200} {
		resp, err := s.Await()
		if err != nil || resp.Status != want {
			t.Fatalf("%v, want %d", err, want)
		}
	}
	body := s.Body()
	for range 100 { // each piece is sent only once the last one is back
		steps <- true
		piece, err := body.Next()
		for got := piece; len(got) < 4 && err == nil; got = append(got, piece...) {
			piece, err = body.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	close(steps)
	if rest, err := read(body); rest != "" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	sending.Wait()
	s.Release()
	s = open(t, tr)
	if status, _, err := exchange(t, s, get()); status != 200 || err != nil || !s.Reused() {
		t.Errorf("the next request: %d %v, reused %v", status, err, s.Reused())
	}
	s.Release()
}

// TestEarlyResponse: a response that comes while the body is being sent is heard,
// even if the endpoint then takes no more of it.
func TestEarlyResponse(t *testing.T) {
	b := serve(t, func(p *peer) {
		if p.head() == nil {
			p.say("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
			p.Conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, p.r)
		}
	})
	tr := b.transport(t)
	s := open(t, tr)
	s.Send(request("POST", wire.Sized, 1<<40))
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for p := bytes.Repeat([]byte("x"), 32<<10); s.Write(p) == nil; {
		}
	})
	resp, err := s.Await()
	if err != nil || resp.Status != 413 {
		t.Fatal(err)
	}
	if content, err := read(s.Body()); content != "hello" || err != nil {
		t.Error(content, err)
	}
	s.Cancel()
	sending.Wait()
	s.Release()
	if tr.Idle() > 0 {
		t.Error("the connection was kept though the body was not sent to its end")
	}
}

// TestCancel: whatever waits on a stream fails when another goroutine cancels it,
// and that is no fault of the connection's age.
func TestCancel(t *testing.T) {
	asked := make(chan bool)
	b := serve(t, func(p *peer) {
		p.head()
		p.say(okHello)
		p.head()
		if p.number == 2 {
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
		} else {
			asked <- true
		}
		io.Copy(io.Discard, p)
	})
	tr := b.transport(t)
	for _, where := range []string{"head", "content"} {
		s := open(t, tr)
		if _, _, err := exchange(t, s, get()); err != nil {
			t.Fatal(err)
		}
		s.Release()
		s = open(t, tr)
		s.Send(get())
		var canceling sync.WaitGroup
		var err error
		want := upstream.Reset
		if where == "head" {
			canceling.Go(func() { <-asked; s.Cancel(); s.Cancel() })
			_, err = s.Await()
		} else {
			want = upstream.Truncated
			if _, err = s.Await(); err != nil {
				t.Fatal(err)
			}
			body := s.Body()
			for n := 0; n < 3; {
				piece, err := body.Next()
				if err != nil {
					t.Fatal(err)
				}
				n += len(piece)
			}
			canceling.Go(s.Cancel)
			_, err = body.Next()
		}
		if kind(err) != want || !errors.Is(err, net.ErrClosed) {
			t.Errorf("canceled inside the %s: %v, want %v", where, err, want)
		}
		canceling.Wait()
		s.Release()
	}
}

// TestTunnel: after a 101 the connection is the caller's, with what came behind it.
func TestTunnel(t *testing.T) {
	b := serve(t, func(p *peer) {
		if p.head() == nil {
			p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst")
			io.Copy(p, p.r)
		}
	})
	s := open(t, b.transport(t))
	defer s.Release()
	head := get()
	head.Upgrade = []byte("echo")
	s.Send(head)
	resp, err := s.Await()
	if err != nil || resp.Status != 101 || string(resp.Upgrade) != "echo" {
		t.Fatal(err)
	}
	conn := s.Tunnel()
	conn.SetReadTimeout(patience)
	expect := func(want string) {
		t.Helper()
		for len(conn.Buffered()) < len(want) {
			if err := conn.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		if got := string(conn.Buffered()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		conn.Discard(len(want))
	}
	expect("first")
	conn.Write([]byte("second"))
	conn.Flush()
	expect("second")
	conn.CloseWrite()
	if err := conn.Fill(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestStalled: an endpoint that takes nothing of a request is given up, and a
// wait that cannot be continued does not call itself one that can.
func TestStalled(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(s upstream.Stream) error
		want upstream.Kind
	}{
		{"Await", func(s upstream.Stream) error { _, err := s.Await(); return err }, upstream.Reset},
		{"Start", func(s upstream.Stream) error { return s.Start() }, upstream.Timeout},
		{"Write", func(s upstream.Stream) error { return s.Write(make([]byte, 100<<10)) }, upstream.Timeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer far.Close()
				tr := upstream.NewTransport(upstream.Options{Address: "a", Dial: func(context.Context, string, string) (net.Conn, error) {
					return near, nil
				}})
				s := open(t, tr)
				s.Send(request("POST", wire.Sized, 100<<10))
				start := time.Now()
				if err := c.send(s); kind(err) != c.want {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(start); took < 30*time.Second || took > 32*time.Second {
					t.Errorf("given up after %v", took)
				}
				s.Release()
				if tr.Idle() > 0 {
					t.Error("the connection was kept")
				}
				tr.Abort()
			})
		})
	}
}
