package wire_test

import (
	"testing"

	"go-loadbalancer/conformance/corpus"
)

// seedBytes bounds what of the corpus is a seed: larger cases are about limits,
// which the fuzz tests set far lower.
const seedBytes = 8 << 10

// seeds are the messages of the corpus.
func seeds(t testing.TB) (requests, responses [][]byte) {
	t.Helper()
	c, err := corpus.Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range c.Requests {
		if len(q.Send) <= seedBytes {
			requests = append(requests, []byte(q.Send))
		}
	}
	for _, p := range c.Responses {
		if len(p.Send) <= seedBytes {
			responses = append(responses, []byte(p.Send))
		}
	}
	return requests, responses
}
