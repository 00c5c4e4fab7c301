// Package socket accepts TCP connections at fewer system calls than package net
// does: a connection that is read, answered and closed without ever having to be
// waited for costs an accept, a read, a write and a close.
//
// What package net sets on every accepted connection is set on the listening
// socket instead, whose connections inherit it, and a connection is made known to
// the runtime's poller only when it is waited for. With TCP_DEFER_ACCEPT, which
// hands a connection over together with its first bytes, most short connections
// never are. On systems other than Linux the package is net by another name.
package socket
