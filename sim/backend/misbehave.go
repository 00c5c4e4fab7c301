package backend

import (
	"context"
	"io"
	"net"
	"time"
)

// hang gives no answer until the fault is over, the client leaves or the
// backend stops, and then closes the connection.
func (x *exchange) hang() {
	select {
	case <-x.faults.ctx.Done():
	case <-x.r.Context().Done():
	case <-x.stopping.Done():
	}
	x.abort()
}

// hold does the same on a connection taken over.
func (x *exchange) hold(conn net.Conn) {
	over, cancel := context.WithCancel(x.faults.ctx)
	defer cancel()
	defer context.AfterFunc(x.stopping, cancel)()

	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, conn) // until the peer closes, or we do
	}()
	select {
	case <-gone:
	case <-over.Done():
	}
	conn.Close()
	<-gone
}

// garbage sends bytes that are not HTTP, the same for the same request, and
// closes the connection.
func (x *exchange) garbage() {
	conn, rw := x.takeOver()
	defer conn.Close()
	noise := make([]byte, 256)
	for i := range noise {
		noise[i] = byte(x.rand.Uint32())
	}
	noise[0] = 0x16 // never by chance the H of HTTP
	conn.SetWriteDeadline(time.Now().Add(progressTimeout))
	rw.Write(noise)
	rw.Flush()
}

// close closes the connection without an answer.
func (x *exchange) close() {
	conn, _ := x.takeOver()
	conn.Close()
}

// reset ends the connection by a TCP RST, or closes it where that cannot be.
func (x *exchange) reset() {
	conn, _ := x.takeOver()
	if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		c.SetLinger(0)
	}
	conn.Close()
}
