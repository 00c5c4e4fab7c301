package main

import "go-loadbalancer/bench/load"

// kind is a kind of request, and the most system calls one of them may cost.
type kind struct {
	name, what string
	load       load.Spec
	requests   int // how many are counted
	ceilings   ceilings
}

// ceilings are calls a request, by the call's name; a call that fails with
// EAGAIN, and so was made in vain, has the name "NAME EAGAIN".
type ceilings map[string]float64

// others is the ceiling of all calls together that have none of their own: what
// the runtime and the flushing of the access log cost besides.
const others = "others"

// edge is what may come on top of every ceiling, a request: calls of the warm-up
// that the balancer, slowed down by strace, makes only once the count has begun.
const edge = 0.05

// kinds are all that is counted, each with its ceilings. Lower one when a call
// has been saved; raise one only with the reason in the commit.
//
// What a request must read and write is exact. One recvfrom in vain looks
// whether a kept upstream connection is still quiet; another may precede the wait
// for the client's next request and the wait for the response, and whether they
// do is decided by who is quicker, as are the waits in epoll_pwait and futex.
func kinds() []kind {
	return []kind{
		{
			name: "small1", what: "GET, 100 bytes, keep-alive, 1 connection",
			load: load.Spec{Connections: 1, Reply: "small"}, requests: 2000,
			ceilings: ceilings{
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     3,
				"futex":           0.5,
				others:            0.25,
			},
		},
		{
			name: "small64", what: "GET, 100 bytes, keep-alive, 64 connections",
			load: load.Spec{Connections: 64, Reply: "small"}, requests: 4000,
			ceilings: ceilings{
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     1,
				"futex":           0.25,
				others:            0.25,
			},
		},
		{
			name: "post4k", what: "POST, body of 4 KiB, 16 connections",
			load: load.Spec{Connections: 16, Method: "POST", Body: 4 << 10, Reply: "small"}, requests: 2000,
			ceilings: ceilings{
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     1,
				"futex":           0.25,
				others:            0.25,
			},
		},
		{
			name: "chunked", what: "GET, 4 chunks of 1 KiB, 16 connections",
			load: load.Spec{Connections: 16, Reply: "chunked"}, requests: 2000,
			ceilings: ceilings{
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     1,
				"futex":           0.25,
				others:            0.25,
			},
		},
		{
			name: "churn1", what: "GET, 100 bytes, a new connection each, one at a time",
			load: load.Spec{Connections: 1, Reply: "small", NewConnections: true}, requests: 1000,
			ceilings: ceilings{
				"accept4":         1,
				"accept4 EAGAIN":  1,
				"close":           1,
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     5,
				"futex":           5,
				others:            0.5,
			},
		},
		{
			name: "churn64", what: "GET, 100 bytes, a new connection each, 64 at once",
			load: load.Spec{Connections: 64, Reply: "small", NewConnections: true}, requests: 2000,
			ceilings: ceilings{
				"accept4":         1,
				"accept4 EAGAIN":  1,
				"close":           1,
				"recvfrom":        2,
				"sendto":          2,
				"recvfrom EAGAIN": 2,
				"epoll_pwait":     2,
				"futex":           2,
				others:            0.5,
			},
		},
		{
			name: "down1m", what: "GET, 1 MiB, 4 connections",
			load: load.Spec{Connections: 4, Reply: "large"}, requests: 200,
			ceilings: ceilings{
				"splice":          48,
				"splice EAGAIN":   24,
				"sendmsg":         2,
				"recvfrom":        2,
				"sendto":          1,
				"recvfrom EAGAIN": 4,
				"epoll_pwait":     24,
				"futex":           1,
				others:            1,
			},
		},
		{
			name: "up1m", what: "POST, body of 1 MiB, 4 connections",
			load: load.Spec{Connections: 4, Method: "POST", Body: 1 << 20, Reply: "small"}, requests: 200,
			ceilings: ceilings{
				"splice":          48,
				"splice EAGAIN":   24,
				"recvfrom":        2,
				"sendto":          3,
				"recvfrom EAGAIN": 6,
				"epoll_pwait":     24,
				"futex":           1,
				others:            1,
			},
		},
	}
}
