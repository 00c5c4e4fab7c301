package socket

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listener is a TCP listener whose connections are *[Conn].
type Listener struct {
	file *os.File
	raw  syscall.RawConn
	addr net.Addr

	// accepting is held by who accepts; then it owns what follows.
	accepting sync.Mutex
	take      func(listener uintptr) bool // onReadable, made once
	fd        int
	peer      netip.AddrPort
	errno     syscall.Errno
}

// How a peer that has vanished without a word is found out: as package net does
// it.
const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 9
)

// unsent is how many bytes the kernel may hold that it cannot send yet. 128 KiB
// cost long responses no CPU that could be measured.
const unsent = 128 << 10

// Deferral is how long the kernel may keep a connection back until its first
// bytes have come, which saves a wake-up for each. A listener that is to end must
// be accepted from for so long, lest those connections be reset.
const Deferral = time.Second

// Listen listens on an address of a TCP network. Errors are those of [net.ListenConfig.Listen].
func Listen(ctx context.Context, network, address string) (net.Listener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1, // see inherited
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) { err = inherited(int(fd)) }); e != nil {
				return e
			}
			return err
		},
	}
	// Go would listen for Multipath TCP. A proxy cannot splice that, and the
	// clients that speak it are few.
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	// Package net lets nobody wait for a listener's connections but itself; package
	// os does.
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	l := &Listener{file: file, raw: raw, addr: ln.Addr()}
	l.take = l.onReadable
	return l, nil
}

// Addr is the address listened on.
func (l *Listener) Addr() net.Addr { return l.addr }

// Close ends the listening: Accept fails with [net.ErrClosed].
func (l *Listener) Close() error { return closedBy(l.file.Close()) }

// inherited sets on a listening socket what its connections are to have.
func inherited(fd int) error {
	for _, o := range []struct{ level, option, value int }{
		{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(Deferral / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		// The acknowledgement of a request goes with the response.
		{unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0},
		// What a slow reader may have waiting in the kernel, beyond what is on its way:
		// else it is some megabytes each.
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAliveIdle / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAliveInterval / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return err
		}
	}
	return nil
}

// Accept waits for a connection. Errors are *[net.OpError], of a closed listener
// [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	if err := l.raw.Read(l.take); err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: closedBy(err)}
	}
	if l.errno != 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: l.errno}
	}
	return &Conn{fd: l.fd, peer: l.peer}, nil
}

// onReadable accepts a connection if there is one.
func (l *Listener) onReadable(listener uintptr) bool {
	l.fd, l.peer, l.errno = accept(listener)
	return l.errno != syscall.EAGAIN
}

// accept takes one connection, past interruptions and connections that were gone
// before they could be had.
func accept(listener uintptr) (fd int, peer netip.AddrPort, errno syscall.Errno) {
	for {
		var sa unix.RawSockaddrAny
		size := uint32(unsafe.Sizeof(sa))
		n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, listener,
			uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(n), addrPort(&sa), 0
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return -1, netip.AddrPort{}, errno
		}
	}
}

// addrPort is a socket address the kernel wrote; ports are in network order.
func addrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	order := func(port *uint16) uint16 {
		b := (*[2]byte)(unsafe.Pointer(port))
		return uint16(b[0])<<8 | uint16(b[1])
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), order(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(addr6(in.Addr, in.Scope_id), order(&in.Port))
	}
	return netip.AddrPort{}
}

// addr6 is an IPv6 address; its scope is 0 or that of a link-local one.
func addr6(ip [16]byte, scope uint32) netip.Addr {
	addr := netip.AddrFrom16(ip)
	if scope == 0 {
		return addr
	}
	link, err := net.InterfaceByIndex(int(scope))
	if err != nil {
		return addr
	}
	return addr.WithZone(link.Name)
}
