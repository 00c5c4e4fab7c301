package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/wire"
)

// pattern is what a client sends, and is sent: every byte tells whose it is.
func pattern(client, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(client*31 + i%7)
	}
	return b
}

// TestBuffersAreNotShared has many connections use the pooled buffers at once, in
// every way there is. Each checks that whatever it sees is its own: a buffer given
// back twice, or used after it was given back, would show another's bytes.
func TestBuffersAreNotShared(t *testing.T) {
	const clients = 24
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for id := range clients {
		var near, far net.Conn
		if id%4 == 3 {
			near, far = net.Pipe()
		} else {
			near, far = tcpPair(t)
		}
		all.Go(func() {
			if err := echo(far); err != nil {
				t.Errorf("server of client %d: %v", id, err)
			}
		})
		all.Go(func() {
			if err := ask(near, id, rounds, rand.New(rand.NewPCG(seed, uint64(id)))); err != nil {
				t.Errorf("client %d: %v", id, err)
			}
		})
	}
	all.Wait()
}

// ask sends requests and checks their answers. The length of the body, and half
// of the time a long field, are drawn.
func ask(nc net.Conn, id, rounds int, random *rand.Rand) error {
	conn := wire.NewConn(nc)
	defer conn.Close()
	conn.SetReadTimeout(30 * time.Second)
	conn.SetWriteTimeout(30 * time.Second)
	var resp wire.Response
	for range rounds {
		content := pattern(id, random.IntN(3)*random.IntN(120<<10))
		head := wire.Request{
			Method: []byte("POST"), Target: []byte("/" + strconv.Itoa(id)), Authority: []byte("h"),
			Fields: fields("X-Client", string(bytes.Repeat([]byte{byte('A' + id)}, 1+random.IntN(2)*random.IntN(20<<10)))),
		}
		if head.Framing = wire.Chunked; random.IntN(2) == 0 {
			head.Framing, head.Length = wire.Sized, int64(len(content))
		}
		conn.SetPending(wire.AppendRequest(conn.Pending(), &head))
		if len(content) > 0 && random.IntN(2) == 0 {
			if err := conn.Flush(); err != nil {
				return err
			}
			time.Sleep(time.Duration(random.IntN(300)) * time.Microsecond)
		}
		for left := content; len(left) > 0; {
			n := min(len(left), 1+random.IntN(40<<10))
			if head.Framing == wire.Chunked {
				conn.SetPending(wire.AppendChunkHeader(conn.Pending(), n))
			}
			if err := conn.Write(left[:n]); err != nil {
				return err
			}
			if head.Framing == wire.Chunked {
				conn.SetPending(append(conn.Pending(), "\r\n"...))
			}
			left = left[n:]
			if random.IntN(2) == 0 { // let the server wait for the rest
				if err := conn.Flush(); err != nil {
					return err
				}
				time.Sleep(time.Duration(random.IntN(300)) * time.Microsecond)
			}
		}
		if head.Framing == wire.Chunked {
			conn.SetPending(wire.AppendLastChunk(conn.Pending(), nil))
		}
		// Ask is for what is sent at once; a long request may be answered already.
		send := conn.Ask
		if len(content) > 0 {
			send = conn.Flush
		}
		if err := send(); err != nil {
			return err
		}
		for {
			n, err := resp.Parse(conn.Buffered(), false, wire.DefaultLimits)
			if err != nil {
				return err
			}
			if n > 0 {
				conn.Discard(n)
				break
			}
			if err := conn.Fill(); err != nil {
				return err
			}
		}
		var body wire.Body
		body.Reset(conn, resp.Framing, resp.Length)
		if err := compare(&body, content); err != nil {
			return err
		}
		conn.Release()
		for range random.IntN(20) {
			runtime.Gosched()
		}
	}
	return nil
}

// echo answers each request with its own content, once it has checked it. The head
// is held, and looked at again at the end.
func echo(nc net.Conn) error {
	conn := wire.NewConn(nc)
	defer conn.Close()
	conn.SetReadTimeout(30 * time.Second)
	conn.SetWriteTimeout(30 * time.Second)
	var req wire.Request
	for {
		for {
			n, err := req.Parse(conn.Buffered(), wire.DefaultLimits)
			if err != nil {
				return err
			}
			if n > 0 {
				conn.Discard(n)
				break
			}
			if err := conn.Fill(); err != nil {
				if err == io.EOF && len(conn.Buffered()) == 0 {
					return nil
				}
				return err
			}
		}
		id, err := strconv.Atoi(string(req.Path[1:]))
		if err != nil {
			return err
		}
		var body wire.Body
		body.Reset(conn, req.Framing, req.Length)
		conn.Hold()
		var content []byte
		for {
			piece, err := body.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			content = append(content, piece...)
			runtime.Gosched()
		}
		if want := pattern(id, len(content)); !bytes.Equal(content, want) {
			return fmt.Errorf("content of %d bytes is not all client %d's", len(content), id)
		}
		client, _ := req.Fields.Get("x-client")
		if mark := byte('A' + id); len(bytes.Trim(client, string(mark))) > 0 {
			return fmt.Errorf("the head of client %d has changed under its body", id)
		}
		reply := wire.Response{Status: 200, Framing: wire.Sized, Length: int64(len(content)), KeepAlive: true}
		conn.SetPending(wire.AppendResponse(conn.Pending(), &reply, 1))
		if err := conn.Write(content); err != nil {
			return err
		}
		if err := conn.Flush(); err != nil {
			return err
		}
		conn.Unhold()
		conn.Release()
	}
}

// compare reads a body and reports if it is not want.
func compare(body *wire.Body, want []byte) error {
	at := 0
	for {
		piece, err := body.Next()
		if err == io.EOF && at == len(want) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", at, len(want), err)
		}
		if len(piece) > len(want)-at || !bytes.Equal(piece, want[at:at+len(piece)]) {
			return fmt.Errorf("the content differs within %d bytes of %d", len(piece), at)
		}
		at += len(piece)
	}
}
