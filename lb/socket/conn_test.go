//go:build linux

package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"

	"go-loadbalancer/lb/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// pair is a connection and its far end, which has sent the bytes given. There
// must be some, lest the kernel keep the connection back.
func pair(t testing.TB, ln net.Listener, first string) (c, far net.Conn) {
	t.Helper()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if _, err := io.WriteString(far, first); err != nil {
		t.Fatal(err)
	}
	c, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, far
}

// TestConn holds the connection to what every net.Conn promises, known to the
// poller from the start and not.
func TestConn(t *testing.T) {
	for _, polled := range []bool{false, true} {
		name := "at first"
		if polled {
			name = "polled"
		}
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				ln, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
				if err != nil {
					return nil, nil, nil, err
				}
				if c2, err = net.Dial("tcp", ln.Addr().String()); err != nil {
					ln.Close()
					return nil, nil, nil, err
				}
				c2.Write([]byte("x"))
				if c1, err = ln.Accept(); err != nil {
					ln.Close()
					return nil, nil, nil, err
				}
				io.ReadFull(c1, make([]byte, 1))
				if polled {
					c1.SetReadDeadline(time.Now().Add(time.Millisecond))
					c1.Read(make([]byte, 1))
					c1.SetReadDeadline(time.Time{})
				}
				return c1, c2, func() { c1.Close(); c2.Close(); ln.Close() }, nil
			})
		})
	}
}

// TestWithoutPoller follows a short connection: nothing of it has to be waited
// for, so the poller never hears of it.
func TestWithoutPoller(t *testing.T) {
	c, far := pair(t, listen(t), "ask")
	b := make([]byte, 8)
	if n, err := c.Read(b); string(b[:n]) != "ask" || err != nil {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	if _, err := io.WriteString(c, "answer"); err != nil {
		t.Fatal(err)
	}
	if c.(*Conn).polled.Load() != nil {
		t.Error("the poller knows the connection")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(far); string(got) != "answer" || err != nil {
		t.Errorf("the far end read %q, %v", got, err)
	}
	if _, err := c.Read(b); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading once it is closed: %v", err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing once it is closed: %v", err)
	}
}

// TestDeadlineBeforePolling sets deadlines before there is a poller.
func TestDeadlineBeforePolling(t *testing.T) {
	c, _ := pair(t, listen(t), "x")
	b := make([]byte, 1)
	c.SetReadDeadline(time.Unix(1, 0))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a deadline in the past: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Hour))
	if _, err := c.Read(b); err != nil {
		t.Fatalf("a deadline ahead: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a deadline that passes: %v", err)
	}
	if c.(*Conn).polled.Load() == nil {
		t.Error("waited without the poller")
	}
}

// TestInherited looks whether connections have what was set on their listener.
func TestInherited(t *testing.T) {
	c, _ := pair(t, listen(t), "x")
	raw, err := c.(*Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			name                string
			level, option, want int
		}{
			{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
			{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
			{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 15},
			{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9},
		} {
			if got, err := syscall.GetsockoptInt(int(fd), o.level, o.option); got != o.want || err != nil {
				t.Errorf("%s is %d, %v, want %d", o.name, got, err, o.want)
			}
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			ln, err := Listen(t.Context(), "tcp", address)
			if err != nil {
				t.Skipf("this machine does not have it: %v", err)
			}
			defer ln.Close()
			c, far := pair(t, ln, "x")
			if got, want := c.RemoteAddr().String(), far.LocalAddr().String(); got != want {
				t.Errorf("remote address %s, want %s", got, want)
			}
			if got, want := c.LocalAddr().String(), far.RemoteAddr().String(); got != want {
				t.Errorf("local address %s, want %s", got, want)
			}
		})
	}
}

// TestAcceptEnds closes a listener that is waited for.
func TestAcceptEnds(t *testing.T) {
	ln := listen(t)
	ended := make(chan error)
	go func() {
		_, err := ln.Accept()
		ended <- err
	}()
	ln.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
}

// TestCloseFails: an error of closing is returned, and holds nobody.
func TestCloseFails(t *testing.T) {
	if err := (&Conn{fd: 1 << 30}).Close(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("closing what is not open: %v", err)
	}
}

// TestLinger resets the connection at its end.
func TestLinger(t *testing.T) {
	c, far := pair(t, listen(t), "x")
	if err := c.(*Conn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the far end read %v", err)
	}
}

// TestCloseWrite ends one half.
func TestCloseWrite(t *testing.T) {
	c, far := pair(t, listen(t), "ask")
	if err := c.(*Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(far); len(got) > 0 || err != nil {
		t.Errorf("the far end read %q, %v", got, err)
	}
	b := make([]byte, 8)
	if n, err := c.Read(b); string(b[:n]) != "ask" || err != nil {
		t.Errorf("read %q, %v", b[:n], err)
	}
}

// A reset found by the very first read or write, before the poller knows the
// socket, is an error like any other.
func TestResetAtFirst(t *testing.T) {
	ln := listen(t)
	for name, use := range map[string]func(*wire.Conn) error{
		"read": func(c *wire.Conn) error {
			c.Fill() // what came before the reset
			return c.Fill()
		},
		"write": func(c *wire.Conn) error {
			c.Write([]byte("x"))
			return c.Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, far := pair(t, ln, "x")
			far.(*net.TCPConn).SetLinger(0)
			far.Close()
			awaitReset(t, c)
			ended := make(chan error, 1)
			go func() { ended <- use(wire.NewConn(c)) }()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("no error")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("it does not end")
			}
		})
	}
}

// awaitReset waits until the kernel knows of a reset, without taking notice of it
// from the socket.
func awaitReset(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		var state uint8
		raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Error(err)
				return
			}
			state = info.State
		})
		if state == unix.BPF_TCP_CLOSE {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("state %d: not reset", state)
		}
	}
}
