package health_test

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
)

// TestNoPortLeft: that this machine has no port left for one more connection to an
// endpoint says nothing of the endpoint. The one port that there is here is taken by
// a connection to it.
func TestNoPortLeft(t *testing.T) {
	const ipLocalPortRange = 51 // of ip(7), since Linux 6.3
	address := listen(t, func(c net.Conn) { c.Read(make([]byte, 1)) })
	only := 0
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipLocalPortRange, only<<16|only)
		})
		return err
	}}
	taken, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	only = taken.LocalAddr().(*net.TCPAddr).Port
	s := firstBy(t, d.DialContext, policy.Endpoint{Address: address, Weight: 1}, policy.ActiveCheck{Type: "TCP", Timeout: long})
	if strings.Contains(s.Error, "protocol not available") {
		t.Skip("this kernel knows no port range of a socket")
	}
	if s.Phase != health.Pending || !strings.Contains(s.Error, "could not be made") || !strings.Contains(s.Error, "cannot assign requested address") {
		t.Errorf("%+v", s)
	}
}

// TestNoDescriptorLeft: that this process may open no more files says nothing of the
// endpoint.
func TestNoDescriptorLeft(t *testing.T) {
	address := listen(t, func(c net.Conn) { c.Read(make([]byte, 1)) })
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		next, err := os.Open(os.DevNull)
		if err != nil {
			t.Error(err)
			return nil, err
		}
		defer next.Close()
		var was syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
			return nil, err
		}
		defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
		none := was
		none.Cur = uint64(next.Fd()) + 1 // descriptors are less than that
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
			t.Error(err)
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	s := firstBy(t, dial, policy.Endpoint{Address: address, Weight: 1}, policy.ActiveCheck{Type: "TCP", Timeout: long})
	if s.Phase != health.Pending || !strings.Contains(s.Error, "could not be made") || !strings.Contains(s.Error, "too many open files") {
		t.Errorf("%+v", s)
	}
}
