package balancer_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/session"
)

// speaking answers with a head of its own by the request's target, and its name.
func speaking(t testing.TB, name string, heads map[string]string) *backend {
	return listen(t, func(p *peer) {
		for {
			head, err := p.head()
			if err != nil {
				return
			}
			method, rest, _ := strings.Cut(head, " ")
			target, _, _ := strings.Cut(rest, " ")
			answer, ok := heads[target]
			switch {
			case !ok:
				answer = "HTTP/1.1 200 OK\r\n"
			case strings.HasPrefix(answer, "HTTP/1.1 304"), strings.HasPrefix(answer, "HTTP/1.1 101"):
				p.send(answer + "\r\n")
				continue
			}
			body := name
			if method == "HEAD" {
				body = ""
			}
			p.send(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", answer, len(name), body))
		}
	})
}

// A client that is served for the first time gets its ticket by whatever final response
// that is no failure, once, and no other field is touched. What an endpoint gives for a
// ticket never comes to the client.
func TestSessionTicketsInResponses(t *testing.T) {
	const evil = "Set-Cookie: lb_session=evil; Path=/\r\nSet-Cookie: lb_session =evil\r\nX-Session: evil\r\nSet-Cookie: a=1\r\nset-cookie: lb_session2=b\r\n"
	heads := map[string]string{
		"/304":  "HTTP/1.1 304 Not Modified\r\n",
		"/404":  "HTTP/1.1 404 Not Found\r\n",
		"/500":  "HTTP/1.1 500 No\r\n" + evil,
		"/evil": "HTTP/1.1 200 OK\r\n" + evil,
		"/103":  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
		"/101":  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n",
	}
	for _, carrier := range []string{"Cookie", "Header"} {
		pool := "circuitBreaker: {consecutiveFailures: 100}\n      sessionPersistence: {store: Memory}"
		if carrier == "Header" {
			pool = "circuitBreaker: {consecutiveFailures: 100}\n      sessionPersistence: {store: Memory, type: Header, header: {name: X-Session}}"
		}
		b := speaking(t, "b", heads)
		l := start(t, setup{pools: pooled(pool, at(b.addr))})
		for _, x := range []struct {
			method, target string
			given          int
			cookies        []string // others, in order
		}{
			{"GET", "/", 1, nil},
			{"HEAD", "/", 1, nil},
			{"GET", "/304", 1, nil},
			{"GET", "/404", 1, nil},
			{"GET", "/103", 1, nil},
			{"GET", "/101", 1, nil},
			{"GET", "/500", 0, []string{"a=1", "lb_session2=b"}},
			{"GET", "/evil", 1, []string{"a=1", "lb_session2=b"}},
		} {
			t.Run(carrier+" "+x.method+x.target, func(t *testing.T) {
				req, _ := http.NewRequest(x.method, "http://"+l.addr+x.target, nil)
				if x.target == "/101" {
					req.Header.Set("Connection", "upgrade")
					req.Header.Set("Upgrade", "chat")
				}
				resp, err := client(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				var tickets, others []string
				for _, c := range resp.Header.Values("Set-Cookie") {
					name, value, _ := strings.Cut(c, "=")
					if strings.TrimSpace(name) != "lb_session" {
						others = append(others, c)
					} else if carrier == "Cookie" {
						value, _, _ = strings.Cut(value, ";")
						tickets = append(tickets, value)
					}
				}
				if carrier == "Header" {
					tickets = resp.Header.Values("X-Session")
				}
				if len(tickets) != x.given || x.given == 1 && len(tickets[0]) != session.SealedLen {
					t.Errorf("given %q, want %d", tickets, x.given)
				}
				if !slices.Equal(others, x.cookies) {
					t.Errorf("other cookies %q, want %q", others, x.cookies)
				}
			})
		}
	}
}

// A new session is at home where its request was answered at last, and not where a try
// of it failed.
func TestSessionIsAtHomeWhereItWasAnswered(t *testing.T) {
	for _, store := range []string{"Redis", "Cookie", "Memory"} {
		t.Run(store, func(t *testing.T) {
			a, b := naming(t, "a"), naming(t, "b")
			a.status.Store(503)
			l := start(t, setup{
				endpoints: []string{a.addr, b.addr}, retry: "attempts: 1, codes: [503]", breaker: "consecutiveFailures: 1000, minRequests: 1000",
				pool: keeps(store) + "\n      retryBudget: {percent: 100, minRetriesPerSecond: 1000}",
			}, with(newShared()))
			for range 20 {
				v := newVisitor(t)
				if who, status := v.visit(l, "/"); who != "b" || status != 200 || v.given != 1 {
					t.Fatalf("%s, %d, %d tickets", who, status, v.given)
				}
				a.status.Store(0)
				v.stays(l, "b", 3)
				a.status.Store(503)
			}
		})
	}
}
