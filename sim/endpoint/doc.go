// Package endpoint is an endpoint of a scenario as a process of its own: a modelled
// backend (package model), told over HTTP at an address of its own what is to be wrong
// with it, and telling there which requests came.
//
//	s := endpoint.New(":80", model.Options{Name: "cart/1"})
//	err := s.Serve(ctx, control) // until ctx ends; what is under way is finished
//
// and from afar
//
//	c := endpoint.NewClient("127.0.0.1:49152")
//	id, err := c.Begin(ctx, &scenario.Fault{Hang: true})
//	touched, err := c.End(ctx, id)
//	err = c.Visits(ctx, func(v endpoint.Visit) { … }) // until it ends
//
// Both ends are of the same release: what goes between them is the structs of package
// scenario as JSON, and no contract.
package endpoint

import (
	"time"

	"go-loadbalancer/sim/model"
)

// Visit is a request that came, told when it comes, when all of it is there, and when its
// answer has been sent; N is its number in this process, from 0.
type Visit struct {
	N int
	model.Visit
}

// State is what a process is like.
type State struct {
	Listening bool
	Open      int // connections
}

const (
	// maxVisits is how much waits for who follows; with more the stream breaks off, so
	// that nobody takes what is there for all.
	maxVisits = 1 << 16
	// maxFault is how long a fault's text is at most.
	maxFault = 64 << 10
	// beat is how often a stream on which nothing happens is written to.
	beat = time.Second
	// gather is for how long visits are put together before they are told.
	gather = 10 * time.Millisecond
)
