package balancer_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is one end of a connection in a test's hands: exact bytes out, exact bytes in.
type peer struct {
	t testing.TB
	*net.TCPConn
	in *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(patience))
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

// dial connects a raw client.
func (l *lb) dial() *peer {
	l.t.Helper()
	c, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return newPeer(l.t, c)
}

// send writes bytes as they are; an error is for the reading side to show.
func (p *peer) send(parts ...string) error {
	_, err := io.WriteString(p.TCPConn, strings.Join(parts, ""))
	return err
}

// sendf is send with a format.
func (p *peer) sendf(format string, args ...any) error { return p.send(fmt.Sprintf(format, args...)) }

// head reads to the empty line that ends a head, and returns it with that line.
func (p *peer) head() (string, error) {
	var b strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String(), err
		}
		if line == "\r\n" {
			return b.String(), nil
		}
	}
}

// exactly reads n bytes.
func (p *peer) exactly(n int) string {
	p.t.Helper()
	b := make([]byte, n)
	if m, err := io.ReadFull(p.in, b); err != nil {
		p.t.Errorf("read %d of %d bytes: %v", m, n, err)
	}
	return string(b)
}

// expect reads as many bytes as want has, and compares.
func (p *peer) expect(want string) {
	p.t.Helper()
	if got := p.exactly(len(want)); got != want {
		p.t.Errorf("got  %q\nwant %q", got, want)
	}
}

// rest reads to the end of the connection.
func (p *peer) rest() (string, error) {
	b, err := io.ReadAll(p.in)
	return string(b), err
}

// response reads a response to a request of the method, with its content.
func (p *peer) response(method string) (*http.Response, string) {
	p.t.Helper()
	r, body, err := p.tryResponse(method)
	if err != nil {
		p.t.Fatalf("response to %s: %v", method, err)
	}
	return r, body
}

func (p *peer) tryResponse(method string) (*http.Response, string, error) {
	r, err := http.ReadResponse(p.in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

// answered sends a request and reads the response, which must have the status.
func (p *peer) answered(status int, request string) (*http.Response, string) {
	p.t.Helper()
	p.send(request)
	method, _, _ := strings.Cut(request, " ")
	r, body := p.response(method)
	if r.StatusCode != status {
		p.t.Errorf("status %d, want %d; body %q", r.StatusCode, status, body)
	}
	return r, body
}

// closed fails the test unless the other side ends the connection cleanly, with
// nothing more sent.
func (p *peer) closed() {
	p.t.Helper()
	if more, err := p.rest(); err != nil || more != "" {
		p.t.Errorf("want the end of the connection, got %q, %v", more, err)
	}
}

// gone waits until the other side has ended the connection, however.
func (p *peer) gone() error {
	_, err := io.Copy(io.Discard, p.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the connection was not closed")
	}
	return err
}

// reset closes the connection so that the other side sees an RST.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// silent waits for milliseconds during which the other side must say nothing.
func (p *peer) silent(milliseconds int) {
	p.t.Helper()
	p.SetReadDeadline(time.Now().Add(time.Duration(milliseconds) * time.Millisecond))
	if b, err := p.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("want silence, got %q, %v", b, err)
	}
	p.SetReadDeadline(time.Now().Add(patience))
}
