package local

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// pair is a network with a shop that listens and a client of it. Bytes to the shop can be
// held back.
func pair(t *testing.T) (n *network, shop, client stage.Host, l net.Listener) {
	t.Helper()
	n, err := newNetwork(&scenario.Scenario{Timeline: []scenario.Fault{{Blackhole: true}}}, Options{}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	shop = n.Host("shop/1", netip.MustParseAddrPort(shopAddress))
	client = n.Host("client/1", netip.MustParseAddrPort("198.19.0.7:0"))
	if l, err = shop.Listen(t.Context(), "tcp", shopAddress); err != nil {
		t.Fatal(err)
	}
	return n, shop, client, l
}

const shopAddress = "10.0.0.1:80"

// connected are both ends of a connection.
func connected(t *testing.T, client stage.Host, l net.Listener) (near, far net.Conn) {
	t.Helper()
	near, err := client.Dial(t.Context(), "tcp", shopAddress)
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{near, far} {
		c.SetDeadline(time.Now().Add(time.Minute))
		t.Cleanup(func() { c.Close() })
	}
	return near, far
}

// says has bytes go from one end to the other, and come.
func says(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	hears(t, to)
}

func hears(t *testing.T, to net.Conn) {
	t.Helper()
	text := make([]byte, 5)
	if _, err := io.ReadFull(to, text); err != nil || string(text) != "hello" {
		t.Fatalf("%q, %v", text, err)
	}
}

// What is open is told as left, and nothing is once all has been closed.
func TestLeft(t *testing.T) {
	n, _, client, l := pair(t)
	near, far := connected(t, client, l)
	says(t, near, far)
	says(t, far, near)
	left := strings.Join(n.left(), "\n")
	for _, want := range []string{"a connection of client/1", "a connection of shop/1", "a listener of shop/1 on port 80", "a relay from client/1 to shop/1"} {
		if !strings.Contains(left, want) {
			t.Errorf("%q is not in\n%s", want, left)
		}
	}
	real := l.Addr().String()
	near.Close()
	far.Close()
	l.Close()
	if left := n.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	again, err := net.Listen("tcp", real)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// A goroutine that a run began is told as left, by what it runs, and those of others are
// not.
func TestGoroutines(t *testing.T) {
	end := make(chan struct{})
	ended := make(chan struct{})
	pprof.Do(t.Context(), pprof.Labels(label, "mine"), func(context.Context) {
		go func() {
			<-end
			close(ended)
		}()
	})
	if left := goroutines("mine"); len(left) != 1 || !strings.Contains(left[0], "1 of the goroutine of go-loadbalancer/sim/local.TestGoroutines.") {
		t.Errorf("%q", left)
	}
	if left := goroutines("min"); len(left) != 0 {
		t.Errorf("of another: %q", left)
	}
	close(end)
	<-ended
}

// Clients have addresses of their own.
func TestSource(t *testing.T) {
	n, _, client, _ := pair(t)
	if !n.sources {
		t.Skip("this system has no other addresses than 127.0.0.1")
	}
	n.held = false
	direct := n.Host("shop/2", netip.MustParseAddrPort("10.0.0.2:80"))
	l, err := direct.Listen(t.Context(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	near, err := client.Dial(t.Context(), "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if from := far.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.19.0.7" {
		t.Errorf("it came from %s", from)
	}
}

// A port that is not there, or refuses, or whose process was killed, refuses.
func TestRefused(t *testing.T) {
	_, shop, client, l := pair(t)
	refused := func(address string) {
		t.Helper()
		if c, err := client.Dial(t.Context(), "tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, %v", address, c, err)
		}
	}
	refused("10.0.0.1:81")
	refused("10.0.0.9:80")
	near, far := connected(t, client, l)
	f := shop.Refuse()
	refused(shopAddress)
	says(t, near, far) // what there was goes on
	f.End()
	says2, far2 := connected(t, client, l)
	says(t, says2, far2)
	crash := shop.Crash()
	refused(shopAddress)
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection to who was killed: %v", err)
	}
	if c, err := shop.Dial(t.Context(), "tcp", shopAddress); err == nil {
		t.Errorf("who was killed dials: %v", c)
	}
	if f.Touched() != 1 || crash.Touched() != 3 {
		t.Errorf("touched %d and %d", f.Touched(), crash.Touched())
	}
	crash.End()
	again, err := shop.Listen(t.Context(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	a, b := connected(t, client, again)
	says(t, a, b)
	if _, err := shop.Listen(t.Context(), "tcp", ":80"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: %v", err)
	}
}

// In a black hole nothing comes and nobody connects; when it ends what was sent comes.
func TestBlackhole(t *testing.T) {
	n, shop, client, l := pair(t)
	other := n.Host("client/2", netip.MustParseAddrPort("198.19.0.8:0"))
	near, far := connected(t, client, l)
	says(t, near, far)
	for name, hole := range map[string]func() stage.Fault{
		"black hole": shop.Blackhole, "partition": func() stage.Fault { return shop.Partition([]stage.Host{client}) },
	} {
		f := hole()
		if _, err := near.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		far.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		far.SetReadDeadline(time.Now().Add(time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if c, err := client.Dial(ctx, "tcp", shopAddress); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: connected: %v, %v", name, c, err)
		}
		cancel()
		if name == "partition" {
			a, b := connected(t, other, l)
			says(t, a, b)
		}
		f.End()
		hears(t, far)
		if f.Touched() < 2 {
			t.Errorf("%s: touched %d", name, f.Touched())
		}
	}
}

// A relay passes on what ends and how: half of it, all of it, or by a reset.
func TestRelayEnds(t *testing.T) {
	n, shop, client, l := pair(t)
	near, far := connected(t, client, l)
	near.(interface{ CloseWrite() error }).CloseWrite()
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("half of it: %v", err)
	}
	says(t, far, near)
	far.Close()
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("all of it: %v", err)
	}
	near, far = connected(t, client, l)
	far.(interface{ SetLinger(int) error }).SetLinger(0)
	far.Close()
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset: %v", err)
	}
	for relays := 1; relays > 0; time.Sleep(pace) { // those before have ended
		n.mu.Lock()
		relays = len(n.relays)
		n.mu.Unlock()
	}
	near, _ = connected(t, client, l)
	if n := shop.Reset(); n != 1 {
		t.Errorf("%d were reset", n)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset of the host: %v", err)
	}
	if near, err := client.Dial(t.Context(), "tcp", shopAddress); err != nil {
		t.Errorf("it listens no more: %v", err)
	} else {
		near.Close()
	}
}

// A kept connection that was closed meanwhile is known by looking.
func TestReadable(t *testing.T) {
	_, _, client, l := pair(t)
	near, far := connected(t, client, l)
	readable := near.(interface{ Readable() bool }).Readable
	if readable() {
		t.Error("nothing has come")
	}
	far.Close()
	for end := time.Now().Add(time.Minute); !readable(); time.Sleep(pace) {
		if time.Now().After(end) {
			t.Fatal("the end has not come")
		}
	}
}

// Once the run is given up nobody connects or listens, and whoever waits is told.
func TestCut(t *testing.T) {
	n, shop, client, l := pair(t)
	near, _ := connected(t, client, l)
	hole := shop.Blackhole()
	defer hole.End()
	waits := make(chan error)
	go func() {
		_, err := client.Dial(context.Background(), "tcp", shopAddress)
		waits <- err
	}()
	for hole.Touched() == 0 {
		time.Sleep(pace)
	}
	n.Cut()
	if err := <-waits; !errors.Is(err, errOver) {
		t.Errorf("who waits: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("a connection is open")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener: %v", err)
	}
	if _, err := shop.Listen(t.Context(), "tcp", ":80"); !errors.Is(err, errOver) {
		t.Errorf("listening: %v", err)
	}
	if left := n.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
