package balancer_test

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// noise is n bytes that look random and are the same for the same seed. Reading
// it adds them to a hash.
type noise struct {
	left int64
	src  *rand.ChaCha8
	sum  hash.Hash
}

func newNoise(n int64, seed byte) *noise {
	return &noise{n, rand.NewChaCha8([32]byte{seed}), sha256.New()}
}

func (n *noise) Read(p []byte) (int, error) {
	if n.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.left)]
	n.src.Read(p)
	n.sum.Write(p)
	n.left -= int64(len(p))
	return len(p), nil
}

func (n *noise) String() string { return fmt.Sprintf("%x", n.sum.Sum(nil)) }

func sumOf(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%x", h.Sum(nil)), n, err
}

const large = 50 << 20

// Large bodies pass unharmed, in each direction and in both at once, in each
// framing, and the memory that takes does not depend on their size.
func TestLargeBodies(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		if n := r.Header.Get("X-Length"); n != "" {
			w.Header().Set("Content-Length", n)
		}
		switch r.URL.Path {
		case "/up":
			sum, n, err := sumOf(r.Body)
			fmt.Fprint(w, sum, n, err)
		case "/down":
			body := newNoise(large, 7)
			w.Header().Set("Trailer", "X-Sum")
			io.Copy(w, body)
			w.Header().Set("X-Sum", body.String())
		case "/echo":
			io.Copy(w, r.Body)
		}
	})
	l := start(t, setup{endpoints: []string{addr}})
	c := client(t)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, sized := range []bool{true, false} {
		do := func(path string, body *noise) *http.Response {
			t.Helper()
			req, err := http.NewRequest("POST", "http://"+l.addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body != nil {
				req.Body, req.ContentLength = io.NopCloser(body), -1
			}
			if sized {
				if body != nil {
					req.ContentLength = large
				}
				if path != "/up" {
					req.Header.Set("X-Length", fmt.Sprint(large))
				}
			}
			r, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Body.Close() })
			return r
		}
		up := newNoise(large, 1)
		answer, err := io.ReadAll(do("/up", up).Body)
		if want := fmt.Sprint(up.String(), int64(large), error(nil)); string(answer) != want || err != nil {
			t.Errorf("up, sized %v: got %s %v, want %s", sized, answer, err, want)
		}
		want := newNoise(large, 7)
		io.Copy(io.Discard, want)
		if sum, n, err := sumOf(do("/down", nil).Body); sum != want.String() || n != large || err != nil {
			t.Errorf("down, sized %v: %d bytes, %v", sized, n, err)
		}
		echo := newNoise(large, 3)
		if sum, n, err := sumOf(do("/echo", echo).Body); sum != echo.String() || n != large || err != nil {
			t.Errorf("echo, sized %v: %d bytes, %v", sized, n, err)
		}
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	// Everything counts: client, backend and balancer live in this process.
	if grew := int64(after.Sys) - int64(before.Sys); grew > 32<<20 {
		t.Errorf("passing %d MiB took %d MiB of memory", 6*large>>20, grew>>20)
	}
	for i := range 6 {
		e := l.ended(i + 1)
		switch {
		case e.target == "/up" && e.RequestBytes != large, e.target == "/down" && e.ResponseBytes != large,
			e.target == "/echo" && (e.ResponseBytes != large || e.RequestBytes != large):
			t.Errorf("event %+v", e)
		}
	}
}

// Each event of a stream arrives before the next one is sent.
func TestServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 5 {
			await(t, next)
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	l := start(t, setup{endpoints: []string{addr}})
	for _, proto := range []string{"HTTP/1.1", "HTTP/1.0"} {
		c := l.dial()
		c.send("GET / ", proto, "\r\nHost: a\r\n\r\n")
		for i := range 5 {
			select {
			case next <- struct{}{}:
			case <-time.After(patience):
				t.Fatal("the stream does not go on")
			}
			if i == 0 {
				c.head()
			}
			for line := ""; !strings.HasPrefix(line, "data: "); {
				var err error
				if line, err = c.in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.Close()
	}
}

// The framing of a chunk that has not come must not hold back the one before.
func TestChunkIsNotHeldBackByTheNextOnesFraming(t *testing.T) {
	for _, framing := range []string{"", "\r", "\r\n", "\r\n5", "\r\n5\r", "\r\n5\r\n", "\r\n5;some=extension"} {
		t.Run(fmt.Sprintf("%q", framing), func(t *testing.T) {
			seen := make(chan struct{})
			rest := "\r\n5\r\nlater\r\n0\r\n\r\n"
			if strings.Contains(framing, ";") {
				rest = "\r\n5;some=extension\r\nlater\r\n0\r\n\r\n"
			}
			down := once(t, func(p *peer) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnow", framing)
				await(t, seen)
				p.send(strings.TrimPrefix(rest, framing))
				p.gone()
			})
			l := start(t, setup{endpoints: []string{down.addr}})
			c := l.dial()
			c.send(get)
			c.head()
			for got := ""; !strings.HasSuffix(got, "now"); {
				b, err := c.in.ReadByte()
				if err != nil {
					t.Fatalf("%v after %q", err, got)
				}
				got += string(b)
			}
			close(seen)
			within(t, "the response", func() {
				for got := ""; !strings.HasSuffix(got, "0\r\n\r\n"); {
					b, err := c.in.ReadByte()
					if err != nil {
						t.Errorf("%v after %q", err, got)
						return
					}
					got += string(b)
				}
			})

			up := once(t, func(p *peer) {
				p.head()
				for got := ""; !strings.HasSuffix(got, "now"); {
					b, err := p.in.ReadByte()
					if err != nil {
						t.Errorf("%v after %q", err, got)
						return
					}
					got += string(b)
				}
				p.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nseen")
				p.gone()
			})
			l2 := start(t, setup{endpoints: []string{up.addr}})
			c2 := l2.dial()
			if _, body := c2.answered(200, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnow"+framing); body != "seen" {
				t.Errorf("got %q", body)
			}
		})
	}
}

// A head that nearly fills the buffer leaves room for what follows it.
func TestBodyBehindALargeHead(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %d %v %s", len(r.Header.Get("X-Pad")), len(b), err, r.Trailer.Get("X-T"))
	})
	l := start(t, setup{endpoints: []string{addr}})
	const plain = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nX-Pad: \r\n\r\n"
	for _, size := range []int{8 << 10, 16<<10 - 100, 16<<10 - 8, 16<<10 - 1, 16 << 10, 16<<10 + 1, 20 << 10, 32 << 10} {
		pad := strings.Repeat("p", size-len(plain))
		c := l.dial()
		c.send(strings.Replace(plain, "X-Pad: ", "X-Pad: "+pad, 1))
		time.Sleep(time.Millisecond) // most often a packet of its own; it holds either way
		body := strings.Repeat("b", 5000)
		trailer := strings.Repeat("t", 4000)
		c.send("1388\r\n", body, "\r\n1388\r\n", body, "\r\n0\r\nX-T: ", trailer, "\r\n\r\n")
		_, got := c.answered(200, "")
		if want := fmt.Sprintf("%d 10000 <nil> %s", len(pad), trailer); got != want {
			t.Errorf("head of %d bytes: got %.80q", size, got)
		}
		c.answered(200, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
	}
}
