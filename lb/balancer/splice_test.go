package balancer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSplice sends long bodies both ways, spliced and not: nobody can tell.
func TestSplice(t *testing.T) {
	content := make([]byte, 2<<20+12345)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	for _, splice := range []bool{true, false} {
		t.Run(fmt.Sprint(splice), func(t *testing.T) {
			b := once(t, func(p *peer) {
				for range 2 {
					if _, err := p.head(); err != nil {
						return
					}
					if got := p.exactly(len(content)); got != string(content) {
						t.Error("the endpoint received another body")
					}
					p.sendf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(content))
					p.send(string(content))
				}
			})
			l := start(t, setup{listener: fmt.Sprintf("splice: %v", splice), endpoints: []string{b.addr}})
			p := l.dial()
			for range 2 {
				go func() {
					p.sendf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(content))
					p.send(string(content))
				}()
				resp, body := p.response("POST")
				if resp.StatusCode != 200 || !bytes.Equal([]byte(body), content) {
					t.Errorf("the client received %d with another body", resp.StatusCode)
				}
			}
			if e := l.ended(2); e.RequestBytes != int64(len(content)) || e.ResponseBytes != int64(len(content)) {
				t.Errorf("%d bytes up and %d down are told of, want %d", e.RequestBytes, e.ResponseBytes, len(content))
			}
		})
	}
}
