package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attack is a kind of hostile client.
type attack struct {
	name, what string
	workers    int // at once, each with a connection at a time
	// pause between two connections of a worker. With workers it bounds the rate:
	// the question is what hostility does, not what a full core does.
	pause time.Duration
	// smallBuffer: the client's kernel takes little that the client has not read.
	smallBuffer bool
	// once attacks by one connection and says how it ended.
	once func(*attacker) outcome
}

// outcome is how a hostile connection ended.
type outcome string

const (
	cut         outcome = "cut"         // the balancer closed it, with or without an answer
	notCut      outcome = "NOT CUT"     // though it was due
	gaveUp      outcome = "gave up"     // the attacker itself ended it, as planned
	interrupted outcome = "interrupted" // by the end of the attack; not counted
	unreachable outcome = "unreachable" // no connection came about
)

// attacker is one connection of a worker.
type attacker struct {
	net.Conn
	ctx    context.Context
	random *rand.Rand
}

// assault runs attacks until ctx ends and counts their outcomes.
type assault struct {
	target string
	seed   uint64

	mu     sync.Mutex
	counts map[string]map[outcome]int // by attack
}

func (a *assault) run(ctx context.Context, attacks []attack) {
	var all sync.WaitGroup
	for i, k := range attacks {
		for w := range k.workers {
			all.Go(func() {
				random := rand.New(rand.NewPCG(a.seed, uint64(i)<<32|uint64(w)))
				// Workers do not march in step.
				for sleep(ctx, time.Duration(random.Int64N(int64(k.pause)+1))) {
					o := a.once(ctx, k, i, random)
					if ctx.Err() != nil {
						return
					}
					a.count(k.name, o)
					if !sleep(ctx, k.pause/2) {
						return
					}
				}
			})
		}
	}
	all.Wait()
}

func (a *assault) count(name string, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts[name] == nil {
		a.counts[name] = map[outcome]int{}
	}
	a.counts[name][o]++
}

// take returns the counts so far, and begins anew.
func (a *assault) take() map[string]map[outcome]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := a.counts
	a.counts = map[string]map[outcome]int{}
	return counts
}

// once connects from an address of the attack's own, and attacks.
func (a *assault) once(ctx context.Context, k attack, number int, random *rand.Rand) outcome {
	d := net.Dialer{
		Timeout:   5 * time.Second,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+number))},
		// The port is chosen on connecting, when the other end is known: else the
		// flood would run out of ports in TIME_WAIT.
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
				if k.smallBuffer {
					unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10)
				}
			})
		},
	}
	c, err := d.DialContext(ctx, "tcp4", a.target)
	if err != nil {
		return unreachable
	}
	defer c.Close()
	// The end of the attack ends what the connection waits for.
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	return k.once(&attacker{c, ctx, random})
}

// sleep waits; false: ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// say writes text; false: the other end has gone.
func (a *attacker) say(text string) bool {
	_, err := io.WriteString(a, text)
	return err == nil
}

// drip writes text byte by byte until the connection is cut, at most for a time.
func (a *attacker) drip(text string, every, atMost time.Duration) outcome {
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, a)
		close(ended)
	}()
	end := time.Now().Add(atMost)
	for i := 0; time.Now().Before(end); i++ {
		select {
		case <-ended:
			return cut
		case <-time.After(every):
		}
		if !a.say(text[i%len(text) : i%len(text)+1]) {
			a.Close()
			<-ended
			return cut
		}
	}
	a.Close()
	<-ended
	return gaveUp
}

// awaitCut reads until the other end closes, which must happen within a time.
func (a *attacker) awaitCut(within time.Duration) outcome {
	a.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, a)
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return notCut
	}
	return cut
}

// reset makes the end of the connection an RST.
func (a *attacker) reset() outcome {
	a.Conn.(*net.TCPConn).SetLinger(0)
	return gaveUp
}

// ask makes a proper request and reads the answer.
func (a *attacker) ask() error {
	if _, err := io.WriteString(a, properRequest); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReader(a), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

const properRequest = "GET /small HTTP/1.1\r\nHost: soak.example.com\r\n\r\n"

// attacks are all of them. Bounds are those of testdata/policy.yaml.tmpl.
func attacks() []attack {
	const late = 10 * time.Second // that a cut may be: attackers get what CPU time is left
	long := strings.Repeat("x", 64<<10)
	return []attack{
		{"slow heads", "a head at a byte each 200 ms", 200, time.Second, false, func(a *attacker) outcome {
			if o := a.drip("GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("X-A: b\r\n", 1000), 200*time.Millisecond, headTimeout+late); o != gaveUp {
				return o
			}
			return notCut
		}},
		{"slow bodies", "a body at a byte each 100 ms, which is below the least rate", 100, time.Second, false, func(a *attacker) outcome {
			if !a.say("POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n") {
				return cut
			}
			if o := a.drip("b", 100*time.Millisecond, bodyTimeout+late); o != gaveUp {
				return o
			}
			return notCut
		}},
		{"silent bodies", "a body that stops", 100, time.Second, false, func(a *attacker) outcome {
			if !a.say("POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel") {
				return cut
			}
			return a.awaitCut(bodyTimeout + late)
		}},
		{"slow readers", "16 MiB read at 4 KiB each 100 ms, given up after 8 s", 25, time.Second, true, func(a *attacker) outcome {
			if !a.say("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n") {
				return cut
			}
			piece := make([]byte, 4<<10)
			for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
				if _, err := a.Read(piece); err != nil || !sleep(a.ctx, 100*time.Millisecond) {
					return cut
				}
			}
			return gaveUp
		}},
		{"readers of nothing", "16 MiB asked for and not read", 25, time.Second, false, func(a *attacker) outcome {
			if !a.say("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n") {
				return cut
			}
			// Now and then a kernel still takes a little, which is progress.
			if !sleep(a.ctx, 4*writeTimeout) {
				return interrupted
			}
			// What kernels hold by then is read; the rest must not come.
			a.SetReadDeadline(time.Now().Add(late))
			n, err := io.Copy(io.Discard, a)
			if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || n >= hugeBody {
				return notCut
			}
			return cut
		}},
		{"idle connections", "a request, then silence", 500, time.Second, false, func(a *attacker) outcome {
			if a.ask() != nil {
				return cut
			}
			return a.awaitCut(idleTimeout + late)
		}},
		{"mute connections", "not a byte", 500, time.Second, false, func(a *attacker) outcome {
			return a.awaitCut(deferAccept + headTimeout + late)
		}},
		{"flood", "connections from one address, one in four with a request", 20, 20 * time.Millisecond, false, func(a *attacker) outcome {
			if a.random.IntN(4) == 0 {
				a.ask()
			}
			return gaveUp
		}},
		{"malformed", "requests that are wrong, and proper ones with bytes changed", 50, 100 * time.Millisecond, false, malformed},
		{"pipelining", "200 requests at once, answers not read", 4, 500 * time.Millisecond, false, func(a *attacker) outcome {
			if !a.say(strings.Repeat(properRequest, 200)) || !sleep(a.ctx, 100*time.Millisecond) {
				return cut
			}
			return a.reset()
		}},
		{"huge heads", "a field of 64 KiB, 1,000 fields, a target of 64 KiB", 10, 200 * time.Millisecond, false, func(a *attacker) outcome {
			switch a.random.IntN(3) {
			case 0:
				a.say("GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n")
			case 1:
				a.say("GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-Y: z\r\n", 1000) + "\r\n")
			default:
				a.say("GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n")
			}
			return a.awaitCut(headTimeout + late)
		}},
		{"broken uploads", "chunked bodies that end within a chunk after 0 to 512 KiB", 10, 200 * time.Millisecond, false, func(a *attacker) outcome {
			if !a.say("POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") {
				return cut
			}
			for range a.random.IntN(9) {
				if !a.say("10000\r\n" + long + "\r\n") {
					return cut
				}
			}
			a.say("10000\r\n" + long[:a.random.IntN(len(long))])
			if a.random.IntN(2) == 0 {
				return a.reset()
			}
			a.Conn.(*net.TCPConn).CloseWrite()
			return a.awaitCut(bodyTimeout + late)
		}},
		{"resets", "an RST within the head, before the answer, within the answer, within a tunnel", 20, 100 * time.Millisecond, false, func(a *attacker) outcome {
			request := []string{
				"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
				"GET /events HTTP/1.1\r\nHost: a\r\n\r\n",
				"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
				properRequest,
			}[a.random.IntN(4)]
			switch a.random.IntN(3) {
			case 0:
				a.say(request[:a.random.IntN(len(request))])
			case 1:
				a.say(request)
			default:
				a.say(request)
				a.SetReadDeadline(time.Now().Add(time.Second))
				io.CopyN(io.Discard, a, a.random.Int64N(64<<10))
			}
			return a.reset()
		}},
		{"half-closes", "an end of the client's side: after a request, within a head, within a body", 20, 100 * time.Millisecond, false, func(a *attacker) outcome {
			a.say([]string{properRequest, properRequest[:20], "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"}[a.random.IntN(3)])
			a.Conn.(*net.TCPConn).CloseWrite()
			return a.awaitCut(bodyTimeout + late)
		}},
	}
}
