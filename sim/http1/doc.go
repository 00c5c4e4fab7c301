// Package http1 reads HTTP/1.1 messages, as the simulator's clients and backends do. It
// shares nothing with the balancer's own reading of them, so that a mistake there is
// seen, and it is cheap: a message that is wholly in the buffer is read without
// allocating.
//
//	in := http1.NewReader(conn)
//	head, err := in.Head()
//	// …
//	err = in.Body(head.ResponseBody("GET"), check.See)
package http1
