package main

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go-loadbalancer/conformance/corpus"
	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/reload"
)

// patience bounds every wait of a test. Nothing that works takes so long.
const patience = 20 * time.Second

const corpusDir = "../lb/wire/testdata"

func load(t testing.TB) *corpus.Corpus {
	t.Helper()
	c, err := corpus.Load(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// policy is a policy source of one text.
type policy string

func (p policy) Read(context.Context) (reload.Bundle, error) {
	return reload.Bundle{Files: map[string][]byte{"policy.yaml": []byte(p)}}, nil
}

func (p policy) Changed() <-chan struct{} { return nil }

// start starts a balancer of its own for a case. It has nothing more to say to the
// backend once it was shut down, so that what the backend has got by then is all.
func start(t *testing.T) *runner {
	t.Helper()
	b, err := listenBackend()
	if err != nil {
		t.Fatal(err)
	}
	var dials atomic.Int64
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			dials.Add(1)
		}
		return c, err
	}
	lb := balancer.New(balancer.Options{Dial: dial, Policies: policy(fmt.Sprintf(`
apiVersion: lb/v1
kind: Policy
metadata: {name: conformance, version: "1"}
spec:
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes: [{name: all, backendRefs: [{pool: backend}]}]
  pools: [{name: backend, endpoints: [{address: %q}]}]
`, b.addr()))})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := lb.Start(ctx); err != nil {
		t.Fatal(err)
	}
	running := true
	shutdown := func() {
		if running {
			running = false
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := lb.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
			b.gone(int(dials.Load()))
		}
	}
	t.Cleanup(func() {
		shutdown()
		b.close()
	})
	return &runner{addr: lb.Addr("http").String(), backend: b, quiet: patience, settle: shutdown}
}

func TestRequests(t *testing.T) {
	for _, q := range load(t).Requests {
		for _, apart := range deliveries(q) {
			name := q.Topic + "/" + q.Name
			if apart {
				name += "/apart"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o, err := start(t).request(q, apart)
				if err != nil {
					t.Fatal(err)
				}
				if v := judgeRequest(q, o); v.grade != right {
					t.Errorf("%s (%s): %s: %s\nsent %.300q\n%s", q.Name, q.RFC, v.grade, v.why, string(q.Send), o.detail())
				}
			})
		}
	}
}

func TestResponses(t *testing.T) {
	for _, p := range load(t).Responses {
		t.Run(p.Topic+"/"+p.Name, func(t *testing.T) {
			t.Parallel()
			o, err := start(t).response(p)
			if err != nil {
				t.Fatal(err)
			}
			if v := judgeResponse(p, o); v.grade != right {
				t.Errorf("%s (%s): %s: %s\nsent %.300q\n%s", p.Name, p.RFC, v.grade, v.why, string(p.Send), o.detail())
			}
			if !p.Bad && !p.Once && !p.End && !o.reused {
				t.Errorf("the connection to the backend is not used again\n%s", o.detail())
			}
		})
	}
}
