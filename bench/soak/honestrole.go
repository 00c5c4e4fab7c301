package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
)

// honestRole is the argument that makes this program the process of the honest
// clients and the backends.
const honestRole = "honest-process"

// honestCommand is one line to it. Its answer is an [honestReport] of what
// happened since the last one.
type honestCommand struct {
	Start bool   `json:",omitempty"` // begin, with the two below
	Host  string `json:",omitempty"` // the balancer's address
	// Direct is the address of a backend.
	Direct string `json:",omitempty"`
	Rate   int    `json:",omitempty"` // requests a second
	Stop   bool   `json:",omitempty"` // end, and answer when all has ended
}

// honestReport is what became of the requests since the last report.
type honestReport struct {
	Kinds map[string]Latencies
	// Late is how late requests were sent: the generator's own fault.
	Late Latencies
}

// runHonest is the honest process.
func runHonest(seed uint64) error {
	b, err := serveBackends(seed)
	if err != nil {
		return err
	}
	answers, questions := json.NewEncoder(os.Stdout), json.NewDecoder(os.Stdin)
	if err := answers.Encode(b); err != nil {
		return err
	}
	var h *honest
	stop := func() {}
	for {
		var c honestCommand
		if err := questions.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if c.Start {
			h = newHonest(c.Host, c.Direct, c.Rate)
			stop = background(h.run)
		}
		if c.Stop {
			stop()
		}
		if err := answers.Encode(h.report()); err != nil {
			return err
		}
	}
}

func (h *honest) report() honestReport {
	r := honestReport{Kinds: map[string]Latencies{}, Late: h.late.take()}
	for _, s := range h.kinds {
		r.Kinds[s.name] = s.take()
	}
	for i, t := range h.streams {
		r.Kinds[streamNames[i]] = t.take()
	}
	return r
}

// background runs f until the function it returns is called, which waits for f's
// end.
func background(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}
