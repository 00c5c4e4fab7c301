package load

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// payload is what every body is a prefix of: no two places alike for a while,
// so that lost, repeated or reordered pieces show.
var payload = func() []byte {
	b := make([]byte, 0, MaxBody+16)
	for i := 0; len(b) < MaxBody; i++ {
		b = strconv.AppendInt(b, int64(i), 36)
		b = append(b, '.')
	}
	return b[:MaxBody]
}()

// Reply is an answer the backend knows, asked for by the path "/Name".
type Reply struct {
	Name  string
	Body  int // bytes
	Chunk int // if not 0: chunked, and so many bytes a chunk
}

// Replies are all of them.
func Replies() []Reply {
	return []Reply{
		{Name: "small", Body: 100},
		{Name: "chunked", Body: 4 << 10, Chunk: 1 << 10},
		{Name: "large", Body: MaxBody},
	}
}

func replyIndex(name string) int {
	return slices.IndexFunc(Replies(), func(r Reply) bool { return r.Name == name })
}

// bytes is the reply on the wire.
func (r Reply) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\n")
	if r.Chunk == 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", r.Body)
		b.Write(payload[:r.Body])
		return b.Bytes()
	}
	b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	for chunk := range slices.Chunk(payload[:r.Body], r.Chunk) {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// backend is the server behind the proxy: it reads a request to its end and
// answers with a reply prepared beforehand, in one write if the socket takes it.
type backend struct {
	fd      int
	port    int
	names   [][]byte // by reply: its path
	replies [][]byte // and its bytes
	verify  bool     // compare request bodies
	unused  []*served
}

// listenBackend starts the backend on a free port of 127.0.0.1.
func listenBackend(l *loop) (*backend, error) {
	b := &backend{}
	for _, r := range Replies() {
		b.names = append(b.names, []byte("/"+r.Name))
		b.replies = append(b.replies, r.bytes())
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("backend: socket: %w", err)
	}
	b.fd = fd
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("backend: bind: %w", err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return nil, fmt.Errorf("backend: listen: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("backend: getsockname: %w", err)
	}
	b.port = sa.(*unix.SockaddrInet4).Port
	return b, l.add(fd, b)
}

func (b *backend) ready(l *loop, _ uint32) {
	for {
		fd, _, err := unix.Accept4(b.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			return
		}
		if err == unix.ECONNABORTED || err == unix.EINTR {
			continue
		}
		if err != nil {
			l.failures.add("backend: accept: %v", err)
			return
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			l.failures.add("backend: TCP_NODELAY: %v", err)
		}
		s := &served{}
		if k := len(b.unused); k > 0 {
			s, b.unused = b.unused[k-1], b.unused[:k-1]
		}
		s.b, s.fd, s.out, s.reply = b, fd, nil, nil
		s.in.reset()
		if err := l.add(fd, s); err != nil {
			l.failures.add("backend: %v", err)
			unix.Close(fd)
		}
	}
}

// served is one connection of the backend.
type served struct {
	b     *backend
	fd    int
	in    framer
	reply []byte // to the request being read, once its head is in
	out   []byte // what is left to write
}

func (s *served) end(l *loop) {
	l.close(s.fd)
	s.b.unused = append(s.b.unused, s)
}

func (s *served) ready(l *loop, events uint32) {
	if len(s.out) > 0 && !s.flush(l) {
		return
	}
	for {
		n, err := read(s.fd, l.buf)
		if err == unix.EAGAIN {
			return
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			if s.in.state != inHead || len(s.in.part) > 0 || len(s.out) > 0 {
				l.failures.add("backend: the proxy closed its connection within an exchange (%v)", err)
			}
			s.end(l)
			return
		}
		if !s.take(l, l.buf[:n]) {
			return
		}
		if n < len(l.buf) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return
		}
	}
}

// take handles what was read; false: the connection is gone.
func (s *served) take(l *loop, p []byte) bool {
	s.in.payload = nil
	if s.b.verify {
		s.in.payload = payload
	}
	for len(p) > 0 {
		n, done, err := s.in.feed(p)
		if err != nil {
			l.failures.add("backend: request: %v", err)
			s.end(l)
			return false
		}
		p = p[n:]
		if s.in.target != nil {
			for i, name := range s.b.names {
				if bytes.Equal(name, s.in.target) {
					s.reply = s.b.replies[i]
				}
			}
			if s.reply == nil {
				l.failures.add("backend: unknown target %q", s.in.target)
				s.end(l)
				return false
			}
			s.in.target = nil
		}
		if !done {
			continue
		}
		if len(s.out) > 0 {
			l.failures.add("backend: the proxy sent a request before the last one's reply was read")
			s.end(l)
			return false
		}
		s.out, s.reply = s.reply, nil
		if !s.flush(l) {
			return false
		}
	}
	return true
}

// flush writes what the socket takes, and closes the connection if that was
// asked for; false: the connection is gone.
func (s *served) flush(l *loop) bool {
	n, err := writeAll(s.fd, s.out)
	s.out = s.out[n:]
	if err == nil && len(s.out) == 0 && s.in.close {
		s.end(l)
		return false
	}
	if err != nil {
		l.failures.add("backend: write: %v", err)
		s.end(l)
		return false
	}
	return true
}

// writeAll writes until the socket takes no more, which is no error.
func writeAll(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		k, err := write(fd, p[n:])
		if err == unix.EAGAIN {
			return n, nil
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}
