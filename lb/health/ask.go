package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/upstream"
)

// userAgent is what checks call themselves.
const userAgent = "go-loadbalancer-health"

// ask makes one check of an address, by the name of host. It ends with ctx, at the latest, and leaves
// nothing behind. nil is a pass; an error's text holds no byte of what the
// endpoint sent.
func ask(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), address, host string, check *policy.ActiveCheck) error {
	nc, err := dial(ctx, "tcp", address)
	if err != nil {
		return inTime(ctx, "no connection", check.Timeout, err)
	}
	// Whatever waits fails when the time is over, and when the check is given up.
	closed := make(chan struct{})
	keep := context.AfterFunc(ctx, func() { nc.Close(); close(closed) })
	defer func() {
		if keep() {
			nc.Close()
		} else {
			<-closed
		}
	}()
	switch check.Type {
	case "TCP":
		return nil
	case "GRPC":
		err = askGRPC(ctx, nc, host, check.Service)
	default:
		err = askHTTP(nc, host, check)
	}
	return inTime(ctx, "no whole answer", check.Timeout, err)
}

// isOurs says whether a check could not be made for want of something here, and so
// says nothing of the endpoint: descriptors, memory, or a port for one more
// connection to the same address. For IPv6 that error may also mean that this machine
// has no address of that version: then nobody will ever get through, and it counts.
func isOurs(err error) bool {
	if upstream.IsExhaustion(err) {
		return true
	}
	var op *net.OpError
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !errors.As(err, &op) {
		return false
	}
	to, ok := op.Addr.(*net.TCPAddr)
	return ok && to.IP.To4() != nil
}

// inTime makes an error that is due to the end of time say so.
func inTime(ctx context.Context, what string, timeout time.Duration, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s within %v", what, timeout)
	}
	return err
}
