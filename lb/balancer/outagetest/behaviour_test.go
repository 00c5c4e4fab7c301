package outagetest

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// behaviour is what a backend does with a request.
type behaviour func(*visit)

// bodySize is how long the body of a response is. Every response says so in
// X-Size, however it lies in Content-Length: by that a client knows whether
// what it was given is whole.
const bodySize = 64

var body = strings.Repeat("0123456789abcde\n", bodySize/16)

// head is a response's head with further fields.
func (x *visit) head(status int, fields string) string { return x.sized(status, bodySize, fields) }

func (x *visit) sized(status, size int, fields string) string {
	return fmt.Sprintf("HTTP/1.1 %d Said\r\nX-Size: %d\r\nX-Backend: %s\r\n%s\r\n", status, size, x.b.address, fields)
}

// send writes to the client; false if that is gone.
func (x *visit) send(s string) bool {
	_, err := io.WriteString(x.c, s)
	return err == nil
}

// respond answers, wholly.
func respond(status int) behaviour {
	return func(x *visit) {
		x.send(x.head(status, fmt.Sprintf("Content-Length: %d\r\n", bodySize)) + body)
		if status < 300 && x.URL.Path != healthPath {
			x.b.mu.Lock()
			x.b.served++
			x.b.mu.Unlock()
		}
	}
}

// upgrading becomes an echo, if asked to.
func upgrading(otherwise behaviour) behaviour {
	return func(x *visit) {
		if x.Header.Get("Upgrade") == "" {
			otherwise(x)
			return
		}
		x.last = true
		if x.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Backend: " + x.b.address + "\r\n\r\n") {
			io.Copy(x.c, x.in)
		}
	}
}

// after takes its time.
func after(least, most time.Duration, then behaviour) behaviour {
	return func(x *visit) {
		time.Sleep(x.b.between(least, most))
		then(x)
	}
}

// sometimes does one thing with probability p, else another.
func sometimes(p float64, one, other behaviour) behaviour {
	return func(x *visit) {
		if x.b.chance(p) {
			one(x)
		} else {
			other(x)
		}
	}
}

// alternate does one thing for on, then another for off, and so on, counted from
// now.
func (w *world) alternate(on time.Duration, one behaviour, off time.Duration, other behaviour) behaviour {
	began := time.Now()
	return func(x *visit) {
		if time.Since(began)%(on+off) < on {
			one(x)
		} else {
			other(x)
		}
	}
}

// queue does what it does for so many at once; the others wait, in order. The
// work is done for clients that have left too: that is how overload feeds itself.
func (w *world) queue(workers int, does behaviour) behaviour {
	slots := make(chan struct{}, workers)
	return func(x *visit) {
		slots <- struct{}{}
		defer func() { <-slots }()
		does(x)
	}
}

// hang takes the request and never answers.
func hang(x *visit) {
	io.Copy(io.Discard, x.in)
	x.last = true
}

// reset breaks the connection instead of an answer.
func reset(x *visit) {
	x.c.reset()
	x.last = true
}

// hangUp closes the connection instead of an answer.
func hangUp(x *visit) { x.last = true }

// truncate closes after n bytes of the body.
func truncate(n int) behaviour {
	return func(x *visit) {
		x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\n", bodySize)) + body[:n])
		x.last = true
	}
}

// resetInside is truncate by a reset, a while after what came before.
func resetInside(x *visit) {
	x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\n", bodySize)) + body[:20])
	time.Sleep(20 * time.Millisecond)
	x.c.reset()
	x.last = true
}

// resetOpen is resetInside of a body that would end with the connection.
func resetOpen(x *visit) {
	x.send(x.head(200, "Connection: close\r\n") + body[:20])
	time.Sleep(20 * time.Millisecond)
	x.c.reset()
	x.last = true
}

// breakChunk closes inside a chunk.
func breakChunk(x *visit) {
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n", bodySize) + body[:20])
	x.last = true
}

// endlessChunks closes between chunks, without the last one.
func endlessChunks(x *visit) {
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n", bodySize, body))
	x.last = true
}

// badChunk sends a chunk size that is none.
func badChunk(x *visit) {
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + "zz\r\n" + body)
	x.last = true
}

// claimMore says that the body is longer than it is.
func claimMore(x *visit) {
	x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\n", bodySize+10)) + body)
	x.last = true
}

// claimLess says that the body is shorter than what is sent, and keeps the
// connection open. By all that a client can know the first bytes are all of it;
// the others look like a response to whoever asks next.
func claimLess(x *visit) {
	const length = 40
	x.send(x.sized(200, length, fmt.Sprintf("Content-Length: %d\r\n", length)) + body[:length] + x.head(200, "Content-Length: 3\r\n") + "bad")
}

// garbage is no HTTP.
func garbage(x *visit) {
	x.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 220 smtp ready\r\n\r\n")
	x.last = true
}

// drip sends the body byte by byte, n bytes of it, and then nothing.
func drip(every time.Duration, n int) behaviour {
	return func(x *visit) {
		x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\n", bodySize)))
		for i := range n {
			time.Sleep(every)
			if !x.send(body[i : i+1]) {
				break
			}
		}
		if n < bodySize {
			hang(x)
		}
	}
}

// interim sends 100s and 103s for ever.
func interim(every time.Duration) behaviour {
	return func(x *visit) {
		x.last = true
		for i := 0; x.send(fmt.Sprintf("HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n", i)); i++ {
			time.Sleep(every)
		}
	}
}

// dripHead sends a head byte by byte, for ever.
func dripHead(every time.Duration) behaviour {
	return func(x *visit) {
		x.last = true
		x.send("HTTP/1.1 200 OK\r\nX-More: ")
		for x.send("x") {
			time.Sleep(every)
		}
	}
}

// interimDrops sends one 100 after another, byte by byte.
func interimDrops(every time.Duration) behaviour {
	return func(x *visit) {
		x.last = true
		head := "HTTP/1.1 100 Continue\r\nX-More: " + strings.Repeat("x", 500) + "\r\n\r\n"
		for i := 0; x.send(head[i : i+1]); i = (i + 1) % len(head) {
			time.Sleep(every)
		}
	}
}

// endlessHead sends header fields for ever.
func endlessHead(x *visit) {
	x.last = true
	x.send("HTTP/1.1 200 OK\r\n")
	for i := 0; i < 1<<20 && x.send(fmt.Sprintf("X-More-%d: %060d\r\n", i, i)); i++ {
	}
}

// endlessBody sends a body of a terabyte.
func endlessBody(x *visit) {
	x.last = true
	x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\n", 1<<40)))
	for piece := strings.Repeat(body, 256); x.send(piece); {
	}
}

// endlessTrailers ends its body, and never what comes behind it.
func endlessTrailers(x *visit) {
	x.last = true
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n0\r\n", bodySize, body))
	for i := 0; i < 1<<20 && x.send(fmt.Sprintf("X-More-%d: %s\r\n", i, body[:10])); i++ {
	}
}

// endlessExtension begins a chunk, and never ends the line of its size.
func endlessExtension(x *visit) {
	x.last = true
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + "40;x=")
	for i := 0; i < 1<<20 && x.send("xxxxxxxxxxxxxxxx"); i++ {
	}
}

// hugeChunk announces a chunk of more bytes than can be counted.
func hugeChunk(x *visit) {
	x.last = true
	x.send(x.head(200, "Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\n" + body)
}

// hugeLength announces a body of more bytes than can be counted.
func hugeLength(x *visit) {
	x.last = true
	x.send(x.head(200, "Content-Length: 99999999999999999999\r\n") + body)
}

// twoLengths announces two.
func twoLengths(x *visit) {
	x.last = true
	x.send(x.head(200, fmt.Sprintf("Content-Length: %d\r\nContent-Length: 1\r\n", bodySize)) + body)
}
