package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
)

// hostileRole is the argument that makes this program the process of the hostile
// clients.
const hostileRole = "hostile-process"

// hostileCommand is one line to it: the attacks to make from now on, instead of
// those made so far, whose outcomes are the answer.
type hostileCommand struct {
	Host    string
	Seed    uint64
	Attacks []string // names; none: no attack
}

// hostileReport is what attacks came to, by name.
type hostileReport map[string]map[outcome]int

// hostileHello is its first line.
type hostileHello struct {
	// Huge is the address of a backend whose answers are larger than what kernels
	// hold for a client that does not read. It is not the honest process's, which
	// has better to do.
	Huge string
}

// runHostile is the hostile process.
func runHostile() error {
	answers, questions := json.NewEncoder(os.Stdout), json.NewDecoder(os.Stdin)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go (&http.Server{Handler: http.HandlerFunc(huge)}).Serve(l)
	if err := answers.Encode(hostileHello{l.Addr().String()}); err != nil {
		return err
	}
	current := &assault{counts: map[string]map[outcome]int{}}
	stop := func() {}
	for {
		var c hostileCommand
		if err := questions.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		stop()
		if err := answers.Encode(hostileReport(current.take())); err != nil {
			return err
		}
		current = &assault{target: c.Host, seed: c.Seed, counts: map[string]map[outcome]int{}}
		wanted := slices.DeleteFunc(attacks(), func(k attack) bool { return !slices.Contains(c.Attacks, k.name) })
		stop = background(func(ctx context.Context) { current.run(ctx, wanted) })
	}
}
