package wire_test

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"go-loadbalancer/lb/wire"
)

// TestUnread: what was written is known not to have been read if the peer had closed
// before it came, and only then.
func TestUnread(t *testing.T) {
	const request = "POST / HTTP/1.1\r\n\r\n"
	for _, c := range []struct {
		name  string
		after func(t *testing.T, peer, ours *net.TCPConn) // the request is written, and held back in our system
		want  bool
	}{
		{"closed before it came", func(t *testing.T, peer, ours *net.TCPConn) {
			peer.Close()
			awaitClose(t, ours)
			cork(t, ours, 0)
		}, true},
		{"closed before it came, and the reset is on its way", func(t *testing.T, peer, ours *net.TCPConn) {
			peer.Close()
			awaitClose(t, ours)
			time.AfterFunc(30*time.Millisecond, func() { cork(t, ours, 0) })
		}, true},
		{"closed, and nothing comes of it", func(t *testing.T, peer, ours *net.TCPConn) {
			peer.CloseWrite() // and the request is held back for longer than is waited
			awaitClose(t, ours)
		}, false},
		{"read, then closed", func(t *testing.T, peer, ours *net.TCPConn) {
			cork(t, ours, 0)
			read(t, peer, len(request))
			peer.Close()
		}, false},
		{"half of it read, then closed", func(t *testing.T, peer, ours *net.TCPConn) {
			cork(t, ours, 0)
			read(t, peer, len(request)/2)
			peer.CloseWrite()
			read(t, peer, len(request)-len(request)/2)
		}, false},
		{"one half closed before it came, and it is read", func(t *testing.T, peer, ours *net.TCPConn) {
			peer.CloseWrite()
			awaitClose(t, ours)
			cork(t, ours, 0)
			read(t, peer, len(request))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			nc, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			ours := nc.(*net.TCPConn)
			conn := wire.NewConn(nc)
			defer conn.Close()
			nc, err = l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			peer := nc.(*net.TCPConn)
			defer peer.Close()
			say := func(what string) {
				t.Helper()
				if err := conn.Write([]byte(what)); err != nil {
					t.Fatal(err)
				}
				if err := conn.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			say("an earlier request")
			read(t, peer, len("an earlier request"))
			before := conn.Written()
			cork(t, ours, 1)
			say(request)
			if n := conn.Written() - before; n != int64(len(request)) {
				t.Fatalf("%d bytes written, want %d", n, len(request))
			}
			c.after(t, peer, ours)
			conn.SetReadTimeout(10 * time.Second)
			if err := conn.Fill(); err != io.EOF {
				t.Fatalf("%v, want the end", err)
			}
			wait := 100 * time.Millisecond
			if c.want {
				wait = 10 * time.Second // it ends with the reset
			}
			if got := conn.Unread(conn.Written()-before, wait); got != c.want {
				t.Errorf("unread: %t, want %t", got, c.want)
			}
		})
	}
}

// cork has the system hold back what is written; for 200 ms at the longest, tcp(7).
func cork(t *testing.T, c *net.TCPConn, on int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on); err != nil {
			t.Error(err)
		}
	})
}

// awaitClose waits until the peer's close has come, which is before what is held back
// has gone, on any machine that goes on within a fifth of a second.
func awaitClose(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var info *unix.TCPInfo
		raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		switch {
		case err != nil:
			t.Fatal(err)
		case info.State == unix.BPF_TCP_CLOSE:
			t.Skip("the machine stood still: what was held back has gone before the close came")
		case info.State == unix.BPF_TCP_CLOSE_WAIT:
			return
		}
	}
	t.Fatal("the close did not come")
}

func read(t *testing.T, c net.Conn, n int) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}
